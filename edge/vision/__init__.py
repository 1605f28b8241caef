"""From frames to visitors: find faces, follow them, decide who is a visitor, and keep their best crops."""
