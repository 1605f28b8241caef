"""The gate: the one way from true counts to what may leave the box.

WindowCounts ──► release ──► ReleasedWindow ──► encode ──► payload ──► store
     │  true, in memory          what may be published                 waits for delivery
     └──► checkpoint: the open windows, true, on the box's own disk only
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from edge.release.messages import decode_open, encode_counts, encode_open, window_id
from edge.release.released import release_window
from edge.types import WindowCounts

log = logging.getLogger(__name__)


class Store(Protocol):
    """Keeps released windows until they are delivered, and the checkpoint of the open ones.

    Every method raises OutsideError where the disk fails; nothing was changed then.
    """

    def put(self, camera: str, window_id: str, encode: Callable[[int], bytes]) -> object | None:
        """Keep what `encode` makes for the camera's next sequence (1, 2, ...); None if the id is known."""

    def knows(self, camera: str, window_id: str) -> bool:
        """Whether a window of this id was put before."""

    def keep_open(self, payloads: Sequence[bytes]) -> None:
        """Keep this checkpoint in place of the last one."""

    def open_windows(self) -> list[bytes]:
        """The last checkpoint."""


class Gate:
    """Releases, encodes and stores closed windows, and keeps the checkpoint of the open ones.

    minimum: visitors below which a count is withheld, from the next window on; any thread may change it. All
    methods belong to the thread that counts, and raise OutsideError where the store's disk fails.
    """

    def __init__(self, store: Store, *, minimum: int, model_name: str, model_version: str) -> None:
        self.minimum = minimum
        self._store = store
        self._model = model_name, model_version

    def put(self, window: WindowCounts) -> bool:
        """Store what may be published of a closed window. False: a window of its id was stored before."""
        released = release_window(window, self.minimum)

        def encode(sequence: int) -> bytes:
            return encode_counts(released, sequence, *self._model)

        return self._store.put(window.camera_id, id_of(window), encode) is not None

    def keep_open(self, windows: Iterable[WindowCounts]) -> None:
        """Keep the true counts of these open windows for the next start, in place of the last checkpoint."""
        self._store.keep_open([encode_open(window) for window in windows])

    def left_open(self) -> list[WindowCounts]:
        """The windows of the last checkpoint, less those that were stored after it."""
        windows = _readable(self._store.open_windows())
        return [window for window in windows if not self._store.knows(window.camera_id, id_of(window))]


class MemoryStore:
    """A `Store` without a disk, for one run: what was put is taken from it in the same order."""

    def __init__(self) -> None:
        self._sequences: Counter[str] = Counter()
        self._known: set[tuple[str, str]] = set()
        self._payloads: list[bytes] = []
        self._open: list[bytes] = []

    def put(self, camera: str, window_id: str, encode: Callable[[int], bytes]) -> bytes | None:
        """See `Store.put`; the payload."""
        if self.knows(camera, window_id):
            return None
        payload = encode(self._sequences[camera] + 1)
        self._known.add((camera, window_id))
        self._sequences[camera] += 1
        self._payloads.append(payload)
        return payload

    def knows(self, camera: str, window_id: str) -> bool:
        """See `Store.knows`."""
        return (camera, window_id) in self._known

    def keep_open(self, payloads: Sequence[bytes]) -> None:
        """See `Store.keep_open`."""
        self._open = list(payloads)

    def open_windows(self) -> list[bytes]:
        """See `Store.open_windows`."""
        return list(self._open)

    def take(self) -> list[bytes]:
        """The payloads that were put since the last call."""
        taken, self._payloads = self._payloads, []
        return taken


def id_of(window: WindowCounts) -> str:
    """The window's id: the same in every run and on every box; see `window_id`."""
    return window_id(window.site, window.camera_id, window.zone, window.start, window.end)


def _readable(payloads: Iterable[bytes]) -> Iterator[WindowCounts]:
    """A damaged window is logged and left out: it must not end every start of the daemon."""
    for payload in payloads:
        try:
            yield decode_open(payload)
        except ValueError as error:
            log.error("the checkpoint holds an unreadable window, which starts again from zero: %s", error)
