"""The box's page: what the box has published, for people with a browser. Its libraries load with it only."""
