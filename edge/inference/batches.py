"""One backend for many threads: what they ask for while it is at work is its next batch.

    vision-<camera> ──► line ──► the thread that finds the backend idle runs what waits ──► each gets its part
                                 (as much of it as a batch holds, first come first served)

Nobody waits for company: an idle backend runs a single picture at once, and batches grow with its load. A
picture waits for the batch that is at work, and for those that hold what came before it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.backend import Backend, BackendError
from edge.ops.reasons import BackendFault
from edge.types import Image


@dataclass(slots=True, eq=False)
class _Asked:
    """The pictures of one call, (N, S, S, 3), and what becomes of them."""

    pictures: Image
    found: NDArray[np.float32] | None = None
    fault: BackendError | None = None

    @property
    def is_over(self) -> bool:
        return self.found is not None or self.fault is not None

    def result(self) -> NDArray[np.float32]:
        if self.found is None:
            fault = self.fault or _unfinished()
            raise BackendError(fault.reason, str(fault))  # one of its own for each thread
        return self.found


class Batches:
    """`Backend` for any number of threads, on one that takes a thread at a time and pictures of one size.

    Where a batch fails, all calls get its error that are in it, wait, or come later: a device that failed is
    not asked again.
    """

    def __init__(self, backend: Backend) -> None:
        """backend: it belongs to this one from now on."""
        self.name = backend.name
        self.device = backend.device
        self.max_batch = backend.max_batch
        self._backend = backend
        self._changed = threading.Condition()
        self._line: deque[_Asked] = deque()
        self._works = False
        self._fault: BackendError | None = None

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `Backend.infer`; raises BackendError after `close`, also where it was called before."""
        asked = _Asked(batch)
        with self._changed:
            asked.fault = self._fault
            if asked.fault is None:
                self._line.append(asked)
        while turn := self._turn(asked):
            self._run(turn)
        return asked.result()

    def close(self) -> None:
        """Refuse what waits, wait for the batch that is at work, and close the backend."""
        with self._changed:
            self._refuse(BackendError(BackendFault.LOST, f"{self.name} is closed"))
            self._changed.wait_for(lambda: not self._works)
        self._backend.close()

    def _turn(self, asked: _Asked) -> list[_Asked]:
        """What this thread has to run, as soon as the backend is idle; nothing once `asked` is over."""
        with self._changed:
            self._changed.wait_for(lambda: asked.is_over or not self._works)
            if asked.is_over:
                return []
            self._works = True
            return self._next()

    def _next(self) -> list[_Asked]:
        """The first of the line, with as many of those behind it as fit into its batch."""
        batch = [self._line.popleft()]
        room = self.max_batch - len(batch[0].pictures)
        while self._line and len(self._line[0].pictures) <= room:
            batch.append(self._line.popleft())
            room -= len(batch[-1].pictures)
        return batch

    def _run(self, batch: list[_Asked]) -> None:
        fault: BackendError | None = _unfinished()
        try:
            found = self._backend.infer(np.concatenate([one.pictures for one in batch]))
            ends = np.cumsum([len(one.pictures) for one in batch])
            for one, part in zip(batch, np.split(found, ends[:-1]), strict=True):
                one.found = part
            fault = None
        except BackendError as error:
            fault = error
        finally:
            self._finish(batch, fault)

    def _finish(self, batch: list[_Asked], fault: BackendError | None) -> None:
        with self._changed:
            self._works = False
            for one in batch:
                one.fault = fault
            if fault is not None:
                self._refuse(fault)
            self._changed.notify_all()

    def _refuse(self, fault: BackendError) -> None:
        """Answer all that wait, and all that come, with this error."""
        self._fault = self._fault or fault
        while self._line:
            self._line.popleft().fault = fault
        self._changed.notify_all()


def _unfinished() -> BackendError:
    return BackendError(BackendFault.LOST, "another thread's batch was not finished")
