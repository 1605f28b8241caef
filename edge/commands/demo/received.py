"""What the demo knows of its camera: the messages that the broker returned, and stays that none tells yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any

from edge.commands.demo.flow_view import LineRow, ZoneRow
from edge.config import CameraSettings
from edge.daemon.queue import MessageQueue
from edge.quantities import DWELL, QUANTITIES, ZONES, cell_of
from edge.release.messages import Flow, decode_counts, decode_flow
from edge.types import Message, Passages, TrackEnded

Tally = Counter[tuple[str, str]]
"""Visits by quantity and cell."""

Window = dict[str, Any]


class Stays:
    """What the visitors who have left add to zones, before the gate: true counts, for the demo's screen only.

    The vision thread adds, the view's reads.
    """

    def __init__(self) -> None:
        self.tally: Tally = Counter()

    def queue(self, most_crops: int) -> MessageQueue:
        """A queue for the daemon, whose visits are added up here."""
        return _Watched(most_crops, self._add)

    def _add(self, visit: TrackEnded) -> None:
        added = Counter({(one.quantity, one.cell): one.amount for one in visit.contributions})
        self.tally = self.tally + added  # a new one, as the other thread may be reading the old one


class _Watched(MessageQueue):
    def __init__(self, most_crops: int, on_visit: Callable[[TrackEnded], None]) -> None:
        super().__init__(most_crops)
        self._on_visit = on_visit

    def put(self, message: Message, *, wait: bool = False) -> bool:
        if isinstance(message, TrackEnded):
            self._on_visit(message)
        return super().put(message, wait=wait)


class Received:
    """The camera's counts and flow as a subscriber has them: one for each id, as every consumer should.

    `take` runs in the subscriber's thread, all else in the view's.
    """

    def __init__(self) -> None:
        self._counts: dict[datetime, dict[str, Window]] = {}
        self._flow: dict[str, Flow] = {}
        self._windows: dict[datetime, Window] = {}

    def take(self, payload: bytes) -> None:
        """Keep a message; anything else is another program's, on the user's own broker."""
        for keep in (self._keep_counts, self._keep_flow):
            try:
                keep(payload)
            except ValueError:  # it is none of these
                continue

    def _keep_counts(self, payload: bytes) -> None:
        found = decode_counts(payload)
        self._counts.setdefault(found.start, {})[found.window_id] = found.model_dump(mode="json")

    def _keep_flow(self, payload: bytes) -> None:
        found = decode_flow(payload)
        if not found.camera:  # it is the sum over the box
            return
        self._flow = {**self._flow, found.window_id: found}
        if found.period == "window" and (zones := self._counts.get(found.start)):
            self._windows = {**self._windows, found.start: reduce(_together, zones.values())}

    @property
    def windows(self) -> list[Window]:
        """The windows that are here as a whole, oldest first: the counts of all zones of one, added up.

        The flow of a window comes after its counts.
        """
        return list(self._windows.values())

    @property
    def is_complete(self) -> bool:
        """The day is here, which ends with the camera's last frame."""
        return any(True for _ in self._of("day"))

    def lines(self, camera: CameraSettings, expected: Mapping[str, Passages]) -> list[LineRow]:
        """The lines of the camera, summed over the windows. expected: by line, where it is known."""
        windows = list(self._of("window"))
        exact = all(flow.lines_epsilon is None for flow in windows)
        return [
            LineRow(line.name, _passed(windows, line.name), expected.get(line.name), exact)
            for line in camera.lines
        ]

    def zones(self, camera: CameraSettings, stays: Stays | None) -> list[ZoneRow]:
        """The areas and queues of the camera by the hours that have ended, before the first of them by
        `stays`. stays: None where true counts are not shown."""
        hours = list(self._of("hour"))
        tally = _tally(hours) if hours else stays.tally if stays else None
        exact = all(stated.epsilon is None for flow in hours for stated in flow.quantities.values())
        return [
            ZoneRow(zone.name, sent=bool(hours), exact=exact)
            if tally is None
            else ZoneRow(zone.name, tally[ZONES, zone.name], _dwell(tally, zone.name), bool(hours), exact)
            for zone in camera.areas
        ]

    def _of(self, period: str) -> Iterator[Flow]:
        return (flow for flow in self._flow.values() if flow.period == period)


def _passed(windows: Sequence[Flow], line: str) -> Passages:
    found = [flow.lines[line] for flow in windows if line in flow.lines]
    return Passages(sum(one.in_ or 0 for one in found), sum(one.out or 0 for one in found))


def _tally(hours: Sequence[Flow]) -> Tally:
    tally: Tally = Counter()
    for hour in hours:
        for name, zone in hour.zones.items():
            tally[ZONES, name] += zone.entries or 0
            if zone.dwell:
                steps = zip(zone.dwell.bounds, zone.dwell.visits, strict=True)
                tally.update({(DWELL, cell_of(name, bound)): visits for bound, visits in steps})
    return tally


def _dwell(tally: Tally, zone: str) -> dict[int, int]:
    return {bound: tally[DWELL, cell_of(zone, bound)] for bound in QUANTITIES[DWELL].bounds}


def _together(one: Window, other: Window) -> Window:
    """The counts of two zones of the same window; a number that one of them withholds adds nothing."""
    sums = {name: _plus(one[name], other[name]) for name in ("unclassified", "released", "other")}
    counts = {name: _plus(one["counts"][name], other["counts"][name]) for name in one["counts"]}
    groups: Counter[str] = Counter(one["groups"])
    groups.update(other["groups"])
    return {**one, **sums, "counts": counts, "groups": dict(groups)}


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
