"""Detectors shared by the cameras: as many as can run at once, instead of two for each camera."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from edge.inference.backend import Backend
from edge.types import Faces, Image
from edge.vision.detect.detector import FaceDetector, Wanted


class SharedDetectors:
    """Opens detectors for any number of users in any number of threads.

    Users of the same model share up to `most` instances; each is lent to one thread for one picture at a
    time. A model takes 10 to 20 MB, and more instances than cores only wait for each other.
    """

    def __init__(self, most: int, served: Backend | None = None) -> None:
        """most: instances of one model that may run at once, at least 1. served: runs both networks for all
        of them; None where each instance runs its own. It may be set until the first is opened.
        """
        self._most = most
        self.served = served
        self._pools: dict[Hashable, _Pool] = {}
        self._guard = threading.Lock()

    def open(self, key: Hashable, make: Callable[[], FaceDetector]) -> FaceDetector:
        """A detector for one user, who closes it. `make` opens one more instance of the model named by `key`.

        The first instance is made at once, so that a model that cannot be loaded is reported immediately.
        """
        with self._guard:
            pool = self._pool(key, make)
            pool.users += 1
        return _Share(pool, lambda: self._leave(pool))

    def open_ahead(self, key: Hashable, make: Callable[[], FaceDetector]) -> None:
        """Make the first instance before its first user comes; it is closed with the next one that a user
        leaves, or by `close`, where none has come by then.
        """
        with self._guard:
            self._pool(key, make)

    def close(self) -> None:
        """Close what no user has, or ever had."""
        with self._guard:
            unused = [key for key, pool in self._pools.items() if not pool.users]
            for key in unused:
                self._pools.pop(key).close()

    def _pool(self, key: Hashable, make: Callable[[], FaceDetector]) -> _Pool:
        if key not in self._pools:
            self._pools[key] = _Pool(make, self._most)
        return self._pools[key]

    def _leave(self, pool: _Pool) -> None:
        with self._guard:
            pool.users -= 1
        self.close()


class _Pool:
    """The instances of one model; `SharedDetectors` counts its `users`."""

    def __init__(self, make: Callable[[], FaceDetector], most: int) -> None:
        self.users = 0
        self._make = make
        # The instance returned last is lent first: its memory is in the cache.
        self._free: queue.LifoQueue[FaceDetector] = queue.LifoQueue()
        self._all = [make()]
        self._free.put(self._all[0])
        self._most = most
        self._guard = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[FaceDetector]:
        detector = self._lend()
        try:
            yield detector
        finally:
            self._free.put(detector)

    def _lend(self) -> FaceDetector:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            pass
        with self._guard:
            if len(self._all) < self._most:
                self._all.append(self._make())
                return self._all[-1]
        return self._free.get()

    def close(self) -> None:
        for detector in self._all:
            detector.close()


class _Share(FaceDetector):
    """The `FaceDetector` of one user."""

    def __init__(self, pool: _Pool, leave: Callable[[], None]) -> None:
        self._pool = pool
        self._leave = leave
        self._closed = False

    def detect(self, image: Image) -> Faces:
        with self._lent() as detector:
            return detector.detect(image)

    def detect_all(self, images: Sequence[Image]) -> list[Faces]:
        with self._lent() as detector:
            return detector.detect_all(images)

    def surest(self, images: Sequence[Image], wanted: Sequence[Wanted]) -> list[Faces]:
        with self._lent() as detector:
            return detector.surest(images, wanted)

    def _lent(self) -> AbstractContextManager[FaceDetector]:
        if self._closed:
            raise RuntimeError("the detector is closed")
        return self._pool.lent()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._leave()
