"""Attacks on the numbers without ages: what one visit adds to all of them, and what their averages reveal."""
