"""A publisher in a thread of its own, on a clock that does not let it wait, for tests against brokers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from edge.clock import SystemClock
from edge.config import MqttSettings
from edge.delivery import Publisher, Topics
from edge.delivery.outbox import Outbox, ReceiverQueue
from edge.delivery.publisher import ACKNOWLEDGE_WITHIN
from edge.ops.reasons import MqttFailure
from edge.release.messages import StatusEncoder
from edge.types import CameraState, CameraStatus
from tests.fake_broker import FakeBroker
from tests.fakes import EPOCH
from tests.messages import Text
from tests.mosquitto import Mosquitto
from tests.patience import PATIENCE
from tests.proxy import Proxy


class ImpatientClock(SystemClock):
    """The real clock, which a test may put forward; nobody waits long on it, except while it is held."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._skipped = 0.0
        self._changed = threading.Condition()
        self._held = False
        self._waiting = False

    def monotonic(self) -> float:
        return self._skipped + super().monotonic()

    def skip(self, seconds: float) -> None:
        """Let so much more time have passed; for one thread."""
        self._skipped += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        with self._changed:
            self.waits.append(seconds)
            self._waiting = True
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: not self._held, PATIENCE), "nobody released the clock"
            self._waiting = False
        return event.wait(min(seconds, 0.02))

    def hold(self) -> None:
        """Whoever waits from now on waits until `release`."""
        with self._changed:
            self._held = True

    def wait_for_waiting(self) -> None:
        """Return when somebody waits."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting, PATIENCE), "nobody waits"

    def release(self) -> None:
        """Let everybody go."""
        with self._changed:
            self._held = False
            self._changed.notify_all()


class Running:
    """A publisher in a thread of its own, with what it reported; a bug in it fails the test."""

    def __init__(
        self,
        broker: Mosquitto | FakeBroker | Proxy,
        outbox: Outbox | ReceiverQueue,
        folder: Path,
        *,
        within: float = ACKNOWLEDGE_WITHIN,
        home_assistant: str = "",
        **settings: Any,
    ) -> None:
        self.clock = ImpatientClock()
        self.connected: list[bool] = []
        self.lags: list[float] = []
        self.failures: list[MqttFailure] = []
        self.left: int | None = None
        self._changed = threading.Condition()
        self._bug: BaseException | None = None
        self.beats: list[float] = []  # at each look, the processor time that its thread has used
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.publisher = Publisher(
            MqttSettings(**{"host": broker.host, "port": broker.port, "drain_timeout": PATIENCE, **settings}),
            "store",
            "box",
            store=outbox,
            statuses=StatusEncoder("store", "box", "0.1.0"),
            clock=self.clock,
            rng=random.Random(7),
            secrets_beside=folder,
            home_assistant=home_assistant,
            acknowledge_within=within,
            on_connected=self._note(self.connected),
            on_published=self._note(self.lags),
            on_failure=self._note(self.failures),
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int | None:
        """Stop, drain, and tell how many windows are left."""
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the publisher does not end"
        if self._bug:
            raise self._bug
        return self.left

    def wait_for(self, predicate: Callable[[Running], bool]) -> None:
        """Wait until what was reported fulfils `predicate`."""
        with self._changed:
            fulfilled = self._changed.wait_for(lambda: predicate(self) or self._bug is not None, PATIENCE)
        assert fulfilled and not self._bug, (self._bug, self.connected, len(self.lags), self.failures)

    def _run(self) -> None:
        try:
            beat = self._note(self.beats)
            self.left = self.publisher.run(self._stop, lambda: beat(time.thread_time()))
        except BaseException as bug:  # noqa: BLE001 - raised again where the test waits
            with self._changed:
                self._bug = bug
                self._changed.notify_all()

    def _note(self, notes: list[Any]) -> Callable[[Any], None]:
        def note(value: object) -> None:
            with self._changed:
                notes.append(value)
                self._changed.notify_all()

        return note


TOPICS = Topics("instore", "store", "box")


def put(outbox: Outbox, camera: str, first: int, last: int, *, retain: bool = False) -> list[bytes]:
    """Windows first..last of a camera, the newest retained if asked for; their payloads."""
    texts = [f"{camera} {i}" for i in range(first, last + 1)]
    for text in texts:
        message = Text(TOPICS.counts(camera, "all"), text, text)
        outbox.commit([message], retained={TOPICS.latest(camera, "all"): text.encode()} if retain else {})
    return [text.encode() for text in texts]


def state(payload: bytes) -> str:
    return "online" if b'"state":"online"' in payload else "offline"


def status(camera: str, state: CameraState) -> CameraStatus:
    return CameraStatus(camera, state, EPOCH, "because")
