"""How long tests wait for what should come at once."""

from __future__ import annotations

PATIENCE = 120.0
"""Seconds that anything may take, on a slow machine with much other work, before a test fails for it."""
