"""Audit: a person counts the visitors of a camera on a masked live picture, then sees the box's number."""
