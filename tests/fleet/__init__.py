"""The database at the centre, what fills it, and what reads it."""
