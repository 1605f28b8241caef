"""Which faces of successive frames are the same visitor, and the life of a track."""

from __future__ import annotations

from edge.vision.track.state import HIDDEN_FOR
from edge.vision.track.tracker import Tracker, TrackerSettings

__all__ = ["HIDDEN_FOR", "Tracker", "TrackerSettings"]
