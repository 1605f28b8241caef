"""A frame to what happened to visitors: find faces, follow them, judge and picture each."""
