"""The windows that are still open, on the box's own disk: true counts, so that they outlive a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    RootModel,
    ValidationError,
)

from edge.types import Coverage, Passages, WindowCounts, ZoneCounts

log = logging.getLogger(__name__)


class OpenWindow(BaseModel):
    """A window as it is kept; what is read is checked, as a disk may return anything.

    zone, counts, unclassified: of an earlier version, which kept one zone.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    site: str
    camera_id: str
    start: datetime
    end: datetime
    zones: dict[str, tuple[dict[str, NonNegativeInt], NonNegativeInt]] = {}
    coverage: tuple[NonNegativeFloat, NonNegativeInt, dict[str, NonNegativeInt]]
    lines: dict[str, tuple[NonNegativeInt, NonNegativeInt]] = {}
    tallies: dict[str, dict[str, NonNegativeInt]] = {}
    zone: Annotated[str, Field(exclude=True)] = ""
    counts: Annotated[dict[str, NonNegativeInt], Field(exclude=True)] = {}
    unclassified: Annotated[NonNegativeInt, Field(exclude=True)] = 0

    @classmethod
    def of(cls, window: WindowCounts) -> OpenWindow:
        """The same as it is stored."""
        seen = window.coverage
        return cls(
            site=window.site,
            camera_id=window.camera_id,
            start=window.start,
            end=window.end,
            zones={name: (dict(zone.counts), zone.unclassified) for name, zone in window.zones.items()},
            coverage=(seen.seconds, seen.analysed, dict(seen.dropped)),
            lines={name: (line.inward, line.outward) for name, line in window.lines.items()},
            tallies={quantity: dict(cells) for quantity, cells in window.tallies.items()},
        )

    def window(self) -> WindowCounts:
        """The same as a value that flows. Raises ValueError where its parts make no window."""
        zones = self.zones or ({self.zone: (self.counts, self.unclassified)} if self.zone else {})
        return WindowCounts(
            site=self.site,
            camera_id=self.camera_id,
            start=self.start,
            end=self.end,
            zones={name: ZoneCounts(*zone) for name, zone in zones.items()},
            coverage=Coverage(*self.coverage),
            lines={name: Passages(*line) for name, line in self.lines.items()},
            tallies=self.tallies,
        )


class _Checkpoint(RootModel[list[OpenWindow]]):
    pass


def encode_open(windows: Iterable[WindowCounts]) -> bytes:
    """Open windows as one payload."""
    return _Checkpoint([OpenWindow.of(window) for window in windows]).model_dump_json().encode()


def decode_open(payload: bytes) -> list[WindowCounts]:
    """What `encode_open` wrote; what cannot be read is logged and left out: it must not end every start."""
    try:
        found = _Checkpoint.model_validate_json(payload).root
    except ValidationError as error:
        log.error(
            "the checkpoint of open windows cannot be read; they start again from zero: %s", fault_in(error)
        )
        return []
    return list(_windows(found))


def fault_in(state: ValidationError) -> str:
    """What is wrong with a stored state, for the log, and nothing of its values: they are true counts."""
    first, *more = state.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(map(str, first["loc"]))
    return f"{where or 'its text'}: {first['msg']}" + (f", and {len(more)} more faults" if more else "")


def _windows(found: Iterable[OpenWindow]) -> Iterator[WindowCounts]:
    for one in found:
        try:
            yield one.window()
        except ValueError as error:
            log.error("the checkpoint holds an unreadable window, which starts again from zero: %s", error)
