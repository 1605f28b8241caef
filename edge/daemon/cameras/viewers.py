"""Hands frames and visits of a camera to those who watch it: the page's Set up and audit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from edge.capture import LatestFrame
from edge.types import Frame, TrackEnded
from edge.web.audit.tools import Counted


class Viewers:
    """Who watches which camera; for several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._slots: tuple[tuple[str, LatestFrame], ...] = ()
        self._audits: tuple[tuple[str, Counted], ...] = ()

    def show(self, frame: Frame) -> None:
        """Give a frame to all who watch its camera; it costs nothing where nobody does."""
        for camera, slot in self._slots:
            if camera == frame.camera_id:
                slot.put(frame)

    @contextmanager
    def watch(self, camera: str) -> Iterator[LatestFrame]:
        """The newest frame of a camera, while the context is open."""
        mine = (camera, LatestFrame())
        with self._guard:
            self._slots = (*self._slots, mine)
        try:
            yield mine[1]
        finally:
            with self._guard:
                self._slots = tuple(one for one in self._slots if one is not mine)

    def count(self, visit: TrackEnded) -> None:
        """Note a visit for all who audit its camera."""
        for camera, counted in self._audits:
            if camera == visit.camera_id:
                counted.ended.append(visit.ended_at)

    def reach(self, camera: str, at: datetime) -> None:
        """Note for all who audit a camera that its visits up to this moment of it were given to `count`."""
        for name, counted in self._audits:
            if name == camera:
                counted.reach(at)

    @contextmanager
    def visits(self, camera: str) -> Iterator[Counted]:
        """The visitors of a camera, as they are counted while the context is open."""
        mine = (camera, Counted())
        with self._guard:
            self._audits = (*self._audits, mine)
        try:
            yield mine[1]
        finally:
            with self._guard:
                self._audits = tuple(one for one in self._audits if one is not mine)
