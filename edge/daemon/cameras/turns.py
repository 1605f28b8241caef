"""A fair limit on the frames that are analysed at once."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A context manager that lets `most` threads in at once, the others in the order in which they asked.

    A semaphore is not fair: a thread that asks again at once goes first. With more cameras than a box keeps
    up with, some would not be analysed for seconds.
    """

    def __init__(self, most: int) -> None:
        self._guard = threading.Lock()
        self._free = most
        self._line: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._line.append(turn)
        turn.acquire()

    def __exit__(self, *raised: object) -> None:
        with self._guard:
            if self._line:
                self._line.popleft().release()
            else:
                self._free += 1
