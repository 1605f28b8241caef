"""Hands the frames of a camera to those who watch it, beside its analysis: the page's Set up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge.capture import LatestFrame
from edge.types import Frame


class Viewers:
    """Who watches which camera; for several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._slots: tuple[tuple[str, LatestFrame], ...] = ()

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
