"""`instore-edge export`."""
