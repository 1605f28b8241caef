"""Crops and ends of tracks to visits, visits to windows: true counts, in memory."""
