"""Audits: how far the box's number of visitors is from what a person counted, and what is kept of that."""
