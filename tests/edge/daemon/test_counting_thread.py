"""The counting thread's loop in the test's own thread: messages to windows in the store."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from edge.config import Settings
from edge.counting.pipeline import build_counting
from edge.daemon import counting_thread
from edge.daemon.counting_thread import CHECKPOINT, STORE_RETRY, CountingWorker
from edge.daemon.queue import MessageQueue
from edge.errors import OutsideError
from edge.ops.metrics import Metrics
from edge.release.checkpoint import decode_open
from edge.release.gate import Gate, MemoryStore, NewMessage
from edge.release.messages import COUNTS
from edge.release.rule import Rule
from edge.types import (
    CameraState,
    Decided,
    FaceCrop,
    Foreseen,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
    WindowCounts,
)
from edge.vision.track import HIDDEN_FOR
from tests.fakes import EPOCH, ManualClock, PaintedAges, bundle, settings
from tests.gates import MODEL, TOPICS
from tests.samples import sample

SETTINGS = ("windows.length=60", "windows.lateness=2", "tracking.lost_after=1.5", "privacy.minimum=1")


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


class Disk(MemoryStore):
    """Takes windows, but refuses the next `faults` of them."""

    def __init__(self, faults: int = 0) -> None:
        super().__init__()
        self.faults = faults
        self.attempts = 0
        self.windows: list[dict[str, Any]] = []

    def commit(
        self,
        messages: Sequence[NewMessage] = (),
        *,
        retained: Mapping[str, bytes] | None = None,
        state: Mapping[str, bytes] | None = None,
    ) -> None:
        self.attempts += bool(messages)
        if self.faults and messages:
            self.faults -= 1
            raise OutsideError("outbox: disk full")
        super().commit(messages, retained=retained, state=state)
        found = [json.loads(payload) for payload in self.take()]
        self.windows += [message for message in found if message["schema"] == COUNTS]

    @property
    def starts(self) -> list[float]:
        """Seconds since the epoch of the windows that it took."""
        starts = [datetime.fromisoformat(window["start"]) for window in self.windows]
        return [(start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() for start in starts]


def open_windows(disk: Disk) -> list[WindowCounts]:
    """Those of the last checkpoint."""
    return decode_open(disk.state("open").get("open", b"[]"))


class Rig:
    """A counting worker on a faulty disk, on time that the test moves."""

    def __init__(self, faults: int = 0, *, configured: Settings | None = None, resumes: bool = True) -> None:
        configured = configured or settings(*SETTINGS)
        names = [camera.name for camera in configured.cameras]
        self.clock, self.queue, self.disk = ManualClock(), MessageQueue(10_000), Disk(faults)
        self.metrics = Metrics(self.clock, names)
        self.worker = CountingWorker(
            partial(build_counting, configured, bundle(), PaintedAges(), self.metrics),
            self.queue,
            Gate(self.disk, Rule.of(configured, MODEL), TOPICS),
            configured.cameras,
            metrics=self.metrics,
            clock=self.clock,
            resumes=resumes,
        )

    def take(self, *moments: float) -> None:
        """Let the worker take the door's progress at these seconds, one a step."""
        for seconds in moments:
            self.queue.put(Progress("door", at(seconds)))
            self.worker.step()

    def run(self, messages: Sequence[Any]) -> int:
        """Let the worker take these and end; its beats."""
        beats: list[int] = []
        for message in messages:
            self.queue.put(message)
        self.queue.close()
        self.worker.run(lambda: beats.append(1))
        return len(beats)

    def sample(self, name: str) -> float | None:
        return sample(self.metrics, name)


def test_stores_what_closes_and_ends_with_the_queue() -> None:
    rig = Rig()
    beats = rig.run([Progress("door", at(0)), Progress("door", at(62)), StreamEnded("door", at(63))])
    assert rig.disk.starts == [0, 60]
    assert (rig.worker.stored, rig.worker.unstored) == (2, 0)
    assert beats == 3


def test_classifies_what_still_waits_at_the_end() -> None:
    rig = Rig()
    face = np.full((64, 64, 3), 2 * 20, np.uint8)
    rig.run(
        [
            Progress("door", at(0)),
            FaceCrop("door", 1, face, 0.5),
            TrackEnded("door", 1, at(2), timedelta(seconds=1)),
            StreamEnded("door", at(3)),
        ]
    )
    assert [window["counts"]["18-24"] for window in rig.disk.windows] == [1]


def test_a_visitor_who_is_hidden_at_a_window_s_end_counts_in_it() -> None:
    """Who was seen last within the window and hidden since ends `HIDDEN_FOR` later, in the next one."""
    rig = Rig(configured=settings("windows.length=60", "privacy.minimum=1"))
    last = 59.9
    alive = last + HIDDEN_FOR.total_seconds()
    frames = [Progress("door", at(n / 5), 1) for n in range(int(5 * alive) + 1)]
    left = TrackEnded("door", 1, at(last), timedelta(seconds=20))
    rig.run([*frames, left, Progress("door", at(alive + 0.2), 1), StreamEnded("door", at(100))])
    assert rig.disk.starts == [0, 60]
    assert [window["released"] for window in rig.disk.windows] == [1, 0]


def test_keeps_what_the_disk_refuses_and_tries_again_in_order(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(faults=2)
    with caplog.at_level(logging.ERROR):
        rig.take(0, 62, 63)
    assert (rig.disk.attempts, rig.disk.starts, rig.worker.unstored) == (1, [], 1)
    assert "disk full; 1 closed windows and the open ones are kept in memory" in caplog.text
    rig.clock.advance(STORE_RETRY)
    rig.take(64)
    assert (rig.disk.attempts, rig.worker.unstored) == (2, 1)
    # A window that closes is an occasion to try at once.
    rig.take(122)
    assert (rig.disk.starts, rig.worker.unstored) == ([0, 60], 0)
    assert rig.sample("instore_outbox_failures_total") == 2


def test_tries_again_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_thread, "TICK", 0.0)
    rig = Rig(faults=1)
    rig.take(0, 62)
    rig.clock.advance(STORE_RETRY)
    rig.worker.step()
    assert rig.disk.starts == [0]


def test_logs_a_refusing_disk_once_and_again_after_it_worked(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(faults=3)
    for minute in range(6):
        rig.disk.faults += minute == 5
        rig.take(60 * minute + 3)
    assert caplog.text.count("disk full") == 2
    assert rig.sample("instore_outbox_failures_total") == 4
    assert rig.disk.starts == [0, 60, 120, 180]


def test_bounds_what_waits_in_memory_and_counts_what_it_drops(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(counting_thread, "MOST_UNSTORED", 3)
    rig = Rig(faults=1_000)
    rig.take(0, 602)
    assert rig.worker.unstored == 3
    assert rig.sample("instore_outbox_dropped_total") == 7
    assert caplog.text.count("is lost: the disk has refused it and 3 later ones") == 7
    rig.disk.faults = 0
    rig.take(662)
    assert rig.disk.starts == [420 + 60, 540, 600]


def test_tries_at_the_end_without_waiting_for_its_turn() -> None:
    rig = Rig(faults=2)
    rig.take(0, 62)
    rig.worker.end()
    assert rig.disk.starts == [0]
    assert rig.worker.unstored == 0


def test_a_bug_of_the_store_is_no_outside_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.disk, "commit", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rig.run([Progress("door", at(0)), Progress("door", at(62))])


def test_a_window_that_was_stored_before_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    monday = [Progress("door", at(0)), StreamEnded("door", at(30))]
    rig.run([*monday, *monday])
    assert rig.disk.starts == [0]
    assert rig.worker.stored == 1
    assert rig.sample("instore_windows_refused_total") == 1
    assert "camera door: the window from 1970-01-01T00:00:00+00:00 was stored before" in caplog.text


def test_measures_from_capture_to_decision_where_time_is_the_clock_s() -> None:
    rig = Rig()
    rig.clock.advance(0.3)
    for moment, analysed in ((0.1, 1), (0.2, 0)):
        rig.queue.put(Progress("door", at(moment), analysed=analysed))
        rig.worker.step()
    assert rig.sample("instore_decision_seconds_count") == 1
    assert rig.sample("instore_decision_seconds_sum") == pytest.approx(0.2)
    rig.worker.follow([])
    rig.queue.put(Progress("door", at(0.3), analysed=1))
    rig.worker.step()
    assert rig.sample("instore_decision_seconds_count") == 1


@pytest.mark.parametrize(
    ("source", "resumes", "kept"),
    [("rtsp://192.0.2.1/", True, 1), ("rtsp://192.0.2.1/", False, 0), ("clip.mp4", True, 0)],
)
def test_the_open_windows_of_live_cameras_are_kept_for_the_next_run(
    source: str, resumes: bool, kept: int
) -> None:
    """A recording starts again from its beginning, and would be counted twice."""
    configured = settings("windows.length=60", f"cameras.0.source={source}")
    rig = Rig(configured=configured, resumes=resumes)
    rig.take(0)
    assert open_windows(rig.disk) == []
    rig.clock.advance(CHECKPOINT)
    rig.take(1)
    assert len(open_windows(rig.disk)) == kept


def test_goes_on_with_the_windows_of_the_last_run() -> None:
    first, second = Rig(), Rig()
    first.queue.put(TrackEnded("door", 1, at(2), timedelta(seconds=1)))
    first.run([Progress("door", at(3))])
    second.disk.commit(state=first.disk.state("open"))
    second.worker.resume()
    second.run([Progress("door", at(10)), StreamEnded("door", at(30))])
    assert [window["released"] for window in second.disk.windows] == [1]


def leaves(second: float, track: int = 1) -> list[Message]:
    """What a frame gives that shows somebody no more, and its progress."""
    return [
        FaceCrop("door", track, np.full((64, 64, 3), 2 * 20, np.uint8), 0.5),
        TrackEnded("door", track, at(second), timedelta(seconds=1)),
        Decided("door", at(second)),
        Progress("door", at(second), 1, nothing_to_count=False),
    ]


def visits(windows: Iterable[WindowCounts]) -> int:
    return sum(window.total for window in windows)


def test_a_frame_with_visitors_is_decided_once_they_are_counted() -> None:
    rig = Rig()
    rig.take(0)
    for message in [*leaves(4), Progress("door", at(4.2), 1)]:
        rig.queue.put(message)
    rig.clock.jump(4.3)
    seen = []
    for _ in range(6):
        rig.worker.step()
        counted = visits(rig.worker._counting.open_windows())
        seen.append((counted, rig.metrics.private.get_sample_value("instore_decision_seconds_count")))
        rig.clock.advance(0.007)  # of the 0.02 s for which a crop waits for its batch
    # Both progresses, the second of which is a decision; the crop, the visitor, their end, the batch.
    assert seen == [(0, 0), (0, 1), (0, 1), (0, 1), (0, 1), (1, 2)]
    # From 4.0 to when the batch was done, and from 4.2 to when the second progress was counted.
    assert rig.sample("instore_decision_seconds_sum") == pytest.approx(0.335 + 0.107)


def test_judges_ahead_while_nothing_comes_and_takes_what_comes_first() -> None:
    rig = Rig()
    rig.take(0)
    face = np.full((64, 64, 3), 2 * 20, np.uint8)
    crops = tuple(FaceCrop("door", 1, face, 0.5) for _ in range(30))
    for message in (Foreseen("door", 1, crops), Progress("door", at(0.2), 1)):
        rig.queue.put(message)
    counted = []
    for _ in range(4):
        rig.worker.step()
        judged = rig.metrics.private.get_sample_value("instore_batch_crops_sum")
        counted.append((judged, rig.metrics.private.get_sample_value("instore_decision_seconds_count")))
    # The progress, what is foreseen, and then a batch a step.
    assert counted == [(0, 1), (0, 1), (8, 1), (16, 1)]


def test_a_crop_waits_no_longer_for_its_batch_while_progress_comes() -> None:
    rig = Rig()
    rig.take(0)
    crop, left, *_ = leaves(0)
    rig.queue.put(crop)
    rig.queue.put(left)
    rig.worker.step()
    rig.worker.step()
    counted = []
    for frame in range(1, 5):
        rig.clock.advance(0.007)
        rig.take(0.007 * frame)
        counted.append(visits(rig.worker._counting.open_windows()))
    assert counted == [0, 0, 1, 1]


def test_a_checkpoint_is_no_further_in_its_coverage_than_in_its_visits() -> None:
    """Each frame gives a visitor, and ten wait at any time: progress is always ahead of visits."""
    rig = Rig()
    rig.take(0)
    checkpoints = []
    for frame in range(1, 100):
        for message in leaves(frame / 2, frame):
            rig.queue.put(message)
        for _ in range(4 if frame > 10 else 0):
            rig.worker.step()
        rig.clock.advance(0.5)
        if found := open_windows(rig.disk):
            rig.disk.commit(state={"open": b"[]"})
            checkpoints.append((sum(w.coverage.analysed for w in found), visits(found)))
    assert len(checkpoints) >= 3
    assert all(0 < analysed <= counted for analysed, counted in checkpoints)


def busy_day(rng: random.Random) -> list[Any]:
    """Half an hour of two cameras: frames, visitors who leave alone or together, now and then a pause."""
    messages: list[Any] = []
    seconds, track = 0.0, 0
    while seconds < 1800:
        seconds += rng.choice([0.2, 0.2, 0.2, 5, 70])
        camera = rng.choice(["door", "till"])
        for _ in range(rng.choice([0, 0, 0, 1, 6])):
            track += 1
            face = np.full((64, 64, 3), 2 * rng.randrange(5, 80), np.uint8)
            messages += [FaceCrop(camera, track, face, 0.5)] * rng.randrange(4)
            messages.append(TrackEnded(camera, track, at(seconds - rng.random()), timedelta(seconds=1)))
            messages.append(Decided(camera, at(seconds)))
        lost = {"overwritten": 1} if rng.random() < 0.1 else {}
        state = CameraState.DARK if rng.random() < 0.1 else CameraState.UP
        messages.append(Progress(camera, at(seconds), 1, lost, state))
    return [*messages, StreamEnded("door", at(seconds)), StreamEnded("till", at(seconds))]


@pytest.mark.parametrize("seed", range(5))
def test_counts_do_not_depend_on_how_much_waits(seed: int) -> None:
    """A progress overtakes visits, by as many messages as wait, but for one that closes a window."""
    configured = settings(*SETTINGS, cameras=("door", "till"))
    messages = busy_day(random.Random(seed))
    stored = []
    for waiting in (1, 7, 10_000):
        rig = Rig(configured=configured)
        for some in (messages[n : n + waiting] for n in range(0, len(messages), waiting)):
            for message in some:
                assert rig.queue.put(message)
            for _ in some:
                rig.worker.step()
        rig.run([])
        stored.append(rig.disk.windows)
    assert len(stored[0]) > 40
    assert stored[0] == stored[1] == stored[2]
