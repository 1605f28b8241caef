"""As many frames in work at once as there are cores, first come first served."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """Lets `most` threads work at once, the others in the order in which they asked; used with `with`.

    A semaphore lets who asks again at once go first: of more cameras than a box can follow, some would
    not be looked at for seconds.
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
