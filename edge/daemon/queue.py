"""The queue between the vision threads and the counting thread: bounded for crops, lossless for counts.

Crops are many and large, so their number is bounded. Of what is foreseen only the newest of each live track
is kept, whose pictures its camera holds anyway. All other messages are small and few, and a lost one would be
a wrong count: they are always accepted. Crops are slow as well: when many visitors leave at once, the age
model takes seconds, and the progress of later frames need not wait for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from edge.types import Decided, FaceCrop, Foreseen, Message, Progress, ToCount, TrackEnded


@dataclass(frozen=True, slots=True)
class Ahead:
    """A progress that is counted before what waits to be counted."""

    progress: Progress


class MessageQueue:
    """From any number of threads to one; first in, first out, but for what `take` lets overtake.

    Holds at most `most_crops` crops, and besides what is foreseen of each live track, up to
    `crops.per_visitor` pictures: a newer one takes the place of that which waits, the end of the track takes
    it away. That nothing is foreseen any more is never refused, so no picture is kept for want of it.
    """

    def __init__(self, most_crops: int) -> None:
        self._most_crops = most_crops
        self._messages: deque[Message] = deque()
        self._crops = 0
        self._foreseen: dict[tuple[str, int], Foreseen] = {}
        self._overtaken = 0
        self._changed = threading.Condition()
        self._hurried = False
        self._closed = False

    def put(self, message: Message, *, wait: bool = False) -> bool:
        """Append `message`. False: it was not appended, for the queue is full of crops, or nothing is judged
        ahead any more.

        wait: block until there is room; for a recording at full speed, which can pause.
        """
        with self._changed:
            if isinstance(message, FaceCrop):
                if wait:
                    self._changed.wait_for(lambda: self._crops < self._most_crops or self._hurried)
                if self._crops >= self._most_crops:
                    return False
                self._crops += 1
            if isinstance(message, Foreseen):
                return self._foresee(message)
            if isinstance(message, TrackEnded):
                self._foreseen.pop((message.camera_id, message.track_id), None)
            self._messages.append(message)
            self._changed.notify_all()
            return True

    def _foresee(self, message: Foreseen) -> bool:
        if message.crops and self._closed:
            return False
        self._foreseen[message.camera_id, message.track_id] = message
        self._changed.notify_all()
        return True

    def take(
        self, timeout: float | None, may_overtake: Callable[[Progress], bool] = lambda progress: False
    ) -> Message | Ahead | None:
        """The oldest message, after at most `timeout` seconds (None: without limit); None where none came.

        What is foreseen comes before all others but a progress that overtakes: to take note of it takes no
        time, and nothing is counted by it. may_overtake: whether a progress is taken before what waits to be
        counted, here and behind the queue; it is asked once, and only of a progress before which nothing else
        waits.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._foreseen or self._closed, timeout)
            taken = self._overtaking(may_overtake) or self._first_foreseen() or self._oldest()
            self._crops -= isinstance(taken, FaceCrop)
            self._changed.notify_all()
            return taken

    def _overtaking(self, may_overtake: Callable[[Progress], bool]) -> Ahead | None:
        """Take the first progress if only what is to be counted is before it, and it may overtake that."""
        for place, message in enumerate(self._messages):
            if not isinstance(message, ToCount | Decided):
                if isinstance(message, Progress) and may_overtake(message):
                    del self._messages[place]
                    self._overtaken = place
                    return Ahead(message)
                break
        return None

    def _first_foreseen(self) -> Foreseen | None:
        return self._foreseen.pop(next(iter(self._foreseen))) if self._foreseen else None

    def _oldest(self) -> Message | None:
        self._overtaken = max(self._overtaken - 1, 0)
        return self._messages.popleft() if self._messages else None

    def hurry(self) -> None:
        """Wake all threads that wait for room, and let none wait from now on: the daemon is about to end."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def shed(self) -> int:
        """Discard the crops in the queue and what is foreseen, nothing else; the number of the crops."""
        with self._changed:
            self._judge_nothing_ahead()
            shed, self._crops = self._crops, 0
            overtaken = islice(self._messages, self._overtaken)
            self._overtaken = sum(not isinstance(m, FaceCrop) for m in overtaken)
            self._messages = deque(m for m in self._messages if not isinstance(m, FaceCrop))
            self._changed.notify_all()
            return shed

    def close(self) -> None:
        """Nothing more will be put: `take` returns what is left, but no crops that are foreseen, then None at
        once.
        """
        with self._changed:
            self._hurried = self._closed = True
            self._judge_nothing_ahead()
            self._changed.notify_all()

    def _judge_nothing_ahead(self) -> None:
        """Let the crops go that are foreseen, not the messages that none is."""
        self._foreseen = {track: one for track, one in self._foreseen.items() if not one.crops}

    @property
    def waiting_crops(self) -> int:
        """Crops in the queue now."""
        with self._changed:
            return self._crops

    @property
    def overtaken(self) -> int:
        """Messages in the queue that a progress has overtaken."""
        with self._changed:
            return self._overtaken

    @property
    def finished(self) -> bool:
        """Closed and empty."""
        with self._changed:
            return self._closed and not self._messages and not self._foreseen
