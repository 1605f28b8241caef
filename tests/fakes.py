"""Stand-ins for the tests; the simulated visitors and their clock are the soak's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from bench.painted import (
    EPOCH,
    ManualClock,
    PaintedAges,
    PaintedCheck,
    PaintedFaces,
    Person,
    bundle,
    paint,
    painted_vision,
    straight_on,
)
from edge.config import Settings, load_settings
from edge.daemon.parts import Parts
from edge.vision.pipeline import Vision

__all__ = [
    "EPOCH",
    "Kept",
    "ManualClock",
    "PaintedAges",
    "PaintedCheck",
    "PaintedFaces",
    "Person",
    "bundle",
    "paint",
    "painted_vision",
    "seeing",
    "settings",
    "straight_on",
]


def settings(*overrides: str, cameras: Iterable[str] = ("door",)) -> Settings:
    """Settings of cameras with these names, which look at whole pictures, and `KEY=VALUE` overrides."""
    tables = [{"name": name, "source": "rtsp://192.0.2.10/", "tile": 0} for name in cameras]
    return load_settings(None, overrides, {"cameras": tables})


def seeing(build_vision: Callable[..., Vision], **others: Any) -> Parts:
    """The parts of a daemon with this vision, and without the networks that the real one would use."""
    return Parts(build_vision=build_vision, open_ahead=lambda *_: None, **others)


class Kept(logging.Handler):
    """Keeps what the log was told, as a person would read it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
