"""The gate: the one way from true counts to what leaves the box.

WindowCounts ──► books: what waits, by camera ──► released numbers ──► rows ──► store ──► delivery
  true, in memory     on the box's own disk          may be published              one transaction
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from edge.quantities import VISITS
from edge.release.books.box import BoxBook
from edge.release.books.camera import CameraBook, Releases
from edge.release.books.day import Day
from edge.release.checkpoint import decode_open, encode_open, fault_in
from edge.release.correction import Correction
from edge.release.messages import window_id
from edge.release.noise.ledger import Level
from edge.release.noise.sampler import RandomBelow
from edge.release.rows import Row, Rows
from edge.release.rule import Rule, Topics
from edge.types import WindowCounts

log = logging.getLogger(__name__)

_Book = TypeVar("_Book", bound=BaseModel)
_OPEN, _BOX, _CAMERA = "open", "gate/box", "gate/camera/"


class NewMessage(Protocol):
    """A message to be kept (`edge.release.rows.Row`)."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def retained_as(self) -> str | None: ...
    def encode(self, sequence: int) -> bytes:
        """The payload, given the topic's next sequence number."""


class Store(Protocol):
    """Keeps rows until they are delivered, retained payloads, and the gate's state (`edge.delivery.outbox`).

    Every method raises OutsideError where the disk fails; nothing was changed then.
    """

    def commit(
        self,
        messages: Sequence[NewMessage] = (),
        *,
        retained: Mapping[str, bytes] | None = None,
        state: Mapping[str, bytes] | None = None,
    ) -> object:
        """Keep rows, retained payloads by topic and state by name: all or nothing of it."""

    def knows(self, topic: str, key: str) -> bool:
        """Whether a row of this key was kept before."""

    def state(self, prefix: str = "") -> Mapping[str, bytes]:
        """The state whose names begin with `prefix`."""


class Gate:
    """Releases and stores closed windows, and keeps the checkpoint of the open ones.

    rule: what may leave, from the next window on; any thread may replace it. All methods belong to the thread
    that counts, and raise OutsideError where the store's disk fails; the call may be repeated then.
    """

    def __init__(
        self,
        store: Store,
        rule: Rule,
        topics: Topics,
        random_below: RandomBelow = secrets.randbelow,
        on_visits: Callable[[str, int], None] = lambda camera, visits: None,
        *,
        correction: Correction | None = None,
    ) -> None:
        """random_below: see `edge.release.noise.sampler`. on_visits: called with the camera and the published
        visits of every window that was stored. correction: of the shares in `today`; None: they are left out.
        """
        self.rule = rule
        self._on_visits = on_visits
        self._correction = correction
        self._store = store
        self._topics = topics
        self._random_below = random_below
        state = store.state("gate/")
        self._box = _read(BoxBook, state.get(_BOX)) or BoxBook()
        self._cameras = {
            name.removeprefix(_CAMERA): book
            for name, payload in state.items()
            if name.startswith(_CAMERA) and (book := _read(CameraBook, payload))
        }

    def put(self, window: WindowCounts) -> bool:
        """Store what a closed window lets out. False: this window was stored before, and nothing changes."""
        if self._knows(window):
            return False
        rule = self.rule
        releases, book = self._book(window.camera_id).close_window(window, rule, self._random_below)
        sums, box = self._box.with_camera(window, releases, rule)
        cameras = {**self._cameras, window.camera_id: book}
        make = Rows(rule, self._topics, self._correction)
        rows = self._rows(window, releases)
        rows += [make.box_flow(*one) for one in zip(sums.flow, sums.occupancy, strict=True)]
        rows += [make.box_periods(one) for one in sums.periods]
        self._store.commit(
            rows,
            retained=self._retained(make, window, releases, cameras),
            state={_CAMERA + window.camera_id: _written(book), _BOX: _written(box)},
        )
        self._cameras, self._box = cameras, box
        for figure in releases.flow:
            if figure.level is Level.WINDOW:
                self._on_visits(window.camera_id, figure.cells[VISITS].value)
        return True

    def keep_open(self, windows: Iterable[WindowCounts]) -> None:
        """Keep the true counts of these open windows for the next start, in place of the last checkpoint."""
        self._store.commit(state={_OPEN: encode_open(windows)})

    def left_open(self) -> list[WindowCounts]:
        """The windows of the last checkpoint, less those that were stored after it."""
        payload = self._store.state(_OPEN).get(_OPEN)
        return [window for window in decode_open(payload) if not self._knows(window)] if payload else []

    def _knows(self, window: WindowCounts) -> bool:
        """Every window of every camera has a row of its flow."""
        key = window_id(window.site, window.camera_id, "flow", "window", window.start, window.end)
        return self._store.knows(self._topics.of_site(window.site).flow(window.camera_id), key)

    def _book(self, camera: str) -> CameraBook:
        return self._cameras.get(camera) or CameraBook.begin(self.rule)

    def _rows(self, window: WindowCounts, releases: Releases) -> list[Row]:
        """A window that was open when its site was renamed keeps the old name, also in its topics."""
        make = Rows(replace(self.rule, site=window.site), self._topics.of_site(window.site))
        camera = window.camera_id
        rows = [make.counts(one) for one in releases.windows]
        rows += [
            make.flow(camera, figure, releases.beside.get((figure.level, figure.end), {}))
            for figure in releases.flow
        ]
        rows += [make.periods(camera, one) for one in releases.periods]
        return rows if window.site == self.rule.site else [replace(row, retained_as=None) for row in rows]

    def _retained(
        self, make: Rows, window: WindowCounts, releases: Releases, cameras: Mapping[str, CameraBook]
    ) -> dict[str, bytes]:
        """What the broker has to retain: the day of zone and box; an empty payload clears a topic."""
        camera, retained = window.camera_id, dict[str, bytes]()
        for zone in releases.gone:
            retained |= {self._topics.latest(camera, zone): b"", self._topics.today(camera, zone): b""}
        if releases.today and window.site == self.rule.site:
            retained |= dict(make.today(camera, zone, day) for zone, day in releases.today.items())
            if days := self._days_of_box(cameras, max(day.date for day in releases.today.values())):
                retained |= dict([make.box_today(days)])
        return retained

    def _days_of_box(self, cameras: Mapping[str, CameraBook], date: date) -> list[list[Day]]:
        """The days of this date that the box's sum counts: by camera, of its zones."""
        shown = [
            [zone.shown for zone in book.zones.values() if zone.shown.date == date]
            for name, book in cameras.items()
            if name in self.rule.in_box
        ]
        return [days for days in shown if days]


def _read(kind: type[_Book], payload: bytes | None) -> _Book | None:
    """A stored book. A damaged one is logged and started again: it must not end every start."""
    if payload is None:
        return None
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        log.error("the gate's state cannot be read; what waited in it is lost: %s", fault_in(error))
        return None


def _written(book: BaseModel) -> bytes:
    return book.model_dump_json().encode()


class MemoryStore:
    """A `Store` without a disk, for one run: rows are taken from it in the order in which they came."""

    def __init__(self) -> None:
        self._sequences: dict[str, int] = {}
        self._known: set[tuple[str, str]] = set()
        self._rows: list[bytes] = []
        self._state: dict[str, bytes] = {}
        self.retained: dict[str, bytes] = {}
        """What a broker would have to retain, by topic."""

    def commit(
        self,
        messages: Sequence[NewMessage] = (),
        *,
        retained: Mapping[str, bytes] | None = None,
        state: Mapping[str, bytes] | None = None,
    ) -> None:
        """See `Store.commit`."""
        for row in messages:
            if not self.knows(row.topic, row.key):
                self._known.add((row.topic, row.key))
                sequence = self._sequences[row.topic] = self._sequences.get(row.topic, 0) + 1
                payload = row.encode(sequence)
                self._rows.append(payload)
                if row.retained_as:
                    self.retained[row.retained_as] = payload
        self._state |= state or {}
        self.retained |= retained or {}

    def knows(self, topic: str, key: str) -> bool:
        """See `Store.knows`."""
        return (topic, key) in self._known

    def state(self, prefix: str = "") -> dict[str, bytes]:
        """See `Store.state`."""
        return {name: payload for name, payload in self._state.items() if name.startswith(prefix)}

    def take(self) -> list[bytes]:
        """The payloads of the rows since the last call."""
        rows, self._rows = self._rows, []
        return rows
