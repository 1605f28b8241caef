"""Stand-ins for the tests; the simulated visitors and their clock are the soak's."""

from __future__ import annotations

import logging
from collections.abc import Iterable

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
    "settings",
    "straight_on",
]


def settings(*overrides: str, cameras: Iterable[str] = ("door",)) -> Settings:
    """Settings of cameras with these names, which look at whole pictures, and `KEY=VALUE` overrides."""
    tables = [{"name": name, "source": "rtsp://192.0.2.10/", "tile": 0} for name in cameras]
    return load_settings(None, overrides, {"cameras": tables})


class Kept(logging.Handler):
    """Keeps what the log was told, as a person would read it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
