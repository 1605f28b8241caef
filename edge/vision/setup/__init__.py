"""For the person who draws lines and zones: a still with nobody on it, and what is drawn in words."""
