"""The daemon's loops in the test's own thread: frames and drops to messages, windows to the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from edge.counting.pipeline import build_counting
from edge.daemon import counting_thread as workers
from edge.daemon.counting_thread import STORE_RETRY, CountingWorker
from edge.daemon.queue import MessageQueue
from edge.daemon.vision_thread import VisionWorker
from edge.errors import OutsideError
from edge.ops.metrics import Metrics
from edge.types import (
    CameraState,
    CameraStatus,
    FaceCrop,
    Frame,
    Progress,
    StreamEnded,
    TrackEnded,
    WindowCounts,
)
from tests.fakes import EPOCH, ManualClock, PaintedAges, Person, bundle, paint, painted_vision, settings

ANN = Person(tag=1, age=20)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


Step = Frame | Callable[[], None] | tuple[Callable[[], None], Frame] | None


class Lane:
    """A vision worker whose slot follows a script: a frame, None for none in time, a call."""

    def __init__(self, *overrides: str, queue: int = 100) -> None:
        options = settings(*overrides)
        self.clock = ManualClock()
        self.metrics = Metrics(self.clock, ["door"])
        self.queue = MessageQueue(queue)
        vision = partial(painted_vision, options.cameras[0], options, bundle(), self.metrics, people=[ANN])
        self.beats = 0
        self.worker: Any = VisionWorker(
            options.cameras[0], vision, self.queue, metrics=self.metrics, clock=self.clock
        )

    def run(self, *script: Step) -> list[Any]:
        self.worker.slot = ScriptedSlot(list(script), self.clock)
        self.worker.run(self.beat)
        self.queue.close()
        return list(iter(lambda: self.queue.take(None), None))

    def beat(self) -> None:
        self.beats += 1

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"camera": "door", **labels})


class Turn:
    """A turn that comes after something else happened."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self.held = False

    def __enter__(self) -> None:
        self._meanwhile()
        self.held = True

    def __exit__(self, *raised: object) -> None:
        self.held = False


class ScriptedSlot:
    def __init__(self, script: list[Step], clock: ManualClock) -> None:
        self._script = script
        self._clock = clock

    @property
    def ended(self) -> bool:
        return not self._script

    def wait(self, timeout: float) -> bool:
        step = self._script[0]
        if isinstance(step, tuple):
            call, step = step
            call()
        if isinstance(step, Frame):
            self._clock.advance(0.2)
            self._script[0] = step
            return True
        self._script.pop(0)
        self._clock.advance(timeout)
        if step is not None:
            step()
        return False

    def take(self) -> Frame | None:
        step = self._script.pop(0)
        assert isinstance(step, Frame)
        return step


def frame(seconds: float, state: CameraState = CameraState.UP, *, empty: bool = False) -> Frame:
    image = np.zeros((180, 320, 3), np.uint8)
    if not empty:
        paint(image, ANN, 160, 90, 40)
    return Frame("door", at(seconds), image, state)


def frames(until: float) -> list[Frame]:
    return [frame(n / 5) for n in range(round(until * 5))]


def kinds(messages: Iterable[object]) -> list[str]:
    return [type(message).__name__ for message in messages]


class TestVisionWorker:
    def test_ends_with_who_is_in_view_and_the_end_of_the_stream(self):
        lane = Lane()
        messages = lane.run(*frames(1))
        assert kinds(messages[:5]) == ["Progress"] * 5
        assert kinds(messages[5:]) == ["FaceCrop"] * 2 + ["TrackEnded", "Progress", "StreamEnded"]
        assert messages[-1] == StreamEnded("door", at(0.8))
        assert (lane.worker.visitors, lane.worker.analysed, lane.worker.in_view) == (1, 5, 0)
        assert lane.beats == 5

    def test_without_a_frame_says_nothing(self):
        assert Lane("cameras.0.source=clip.mp4").run(None) == []

    def test_bears_each_frame_s_own_state(self):
        lane = Lane()
        lane.worker.status = CameraStatus("door", CameraState.DOWN, EPOCH, "the recording has ended")
        messages = lane.run(frame(0), frame(1, CameraState.DARK, empty=True))
        assert [m.state for m in messages if isinstance(m, Progress) and m.analysed] == ["up", "dark"]

    def test_lets_time_pass_for_a_live_camera_without_frames(self):
        lane = Lane()
        messages = lane.run(*frames(1), None, None, None)
        ended = next(i for i, m in enumerate(messages) if isinstance(m, TrackEnded))
        assert messages[ended].ended_at == at(0.8)
        after = [m for m in messages[ended:] if isinstance(m, Progress)]
        assert after[0].state is CameraState.DOWN
        assert after[0].analysed == 0
        assert after[0].event_time > at(2.3)

    def test_does_not_for_a_recording(self):
        lane = Lane("cameras.0.source=clip.mp4")
        messages = lane.run(*frames(1), None, None, None, None)
        assert max(m.event_time for m in messages if isinstance(m, Progress)) == at(0.8)

    def test_analyses_the_newest_frame_when_its_turn_comes(self):
        """Whoever waits holds no frame: what came meanwhile is seen, and memory is kept for those at work."""
        lane = Lane()
        worker = lane.worker
        worker._turn = Turn(lambda: (worker.slot.put(frame(0.4)), worker.slot.close()))
        worker.slot.put(frame(0.2))
        worker.run(lane.beat)
        lane.queue.close()
        seen = [m for m in iter(lambda: lane.queue.take(None), None) if isinstance(m, Progress)]
        assert [(m.event_time, m.analysed) for m in seen] == [(at(0.4), 1), (at(0.4), 0)]
        assert not worker._turn.held

    def test_tells_of_an_interruption_shorter_than_a_tick(self):
        """Else the time between the two pictures would count as watched."""
        lane = Lane()
        down = CameraStatus("door", CameraState.DOWN, at(0.3), "the stream broke off")
        messages = lane.run(frame(0), frame(0.2), (lambda: lane.worker.report(down), frame(1.4)), frame(1.6))
        states = [(m.event_time, m.state) for m in messages if isinstance(m, Progress)]
        assert states[:5] == [
            (at(0), "up"),
            (at(0.2), "up"),
            (at(1.4), "down"),
            (at(1.4), "up"),
            (at(1.6), "up"),
        ]

    def test_a_picture_from_before_the_fault_was_watched(self):
        lane = Lane()
        down = CameraStatus("door", CameraState.DOWN, at(0.3), "the stream broke off")
        messages = lane.run(frame(0), (lambda: lane.worker.report(down), frame(0.2)), frame(0.5))
        states = [m.state for m in messages if isinstance(m, Progress)]
        assert states[:4] == ["up", "up", "down", "up"]

    def test_counts_drops_with_their_reason_once(self):
        lane = Lane()
        lane.worker.drop("overwritten")
        lane.worker.drop("overwritten")
        lane.worker.drop("corrupt")
        progress = [m for m in lane.run(frame(0), frame(0.2)) if isinstance(m, Progress)]
        assert [dict(m.dropped) for m in progress] == [{"overwritten": 2, "corrupt": 1}, {}, {}]
        assert lane.sample("instore_frames_dropped_total", reason="overwritten") == 2
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 1
        assert lane.sample("instore_frames_captured_total") == 5
        assert lane.sample("instore_frames_analysed_total") == 2

    def test_counts_drops_after_the_last_frame_too(self):
        lane = Lane("cameras.0.source=clip.mp4")
        messages = lane.run(frame(0), lambda: lane.worker.drop("corrupt"))
        assert [dict(m.dropped) for m in messages if isinstance(m, Progress)] == [{}, {"corrupt": 1}]
        assert isinstance(messages[-1], StreamEnded)

    def test_counts_drops_of_a_recording_without_any_frame(self):
        lane = Lane("cameras.0.source=clip.mp4")
        assert lane.run(lambda: lane.worker.drop("corrupt")) == []
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 1

    def test_counts_crops_for_which_there_is_no_room_and_loses_nothing_else(self):
        lane = Lane(queue=1)
        messages = lane.run(*frames(3))
        assert kinds(m for m in messages if not isinstance(m, Progress)) == [
            "FaceCrop",
            "TrackEnded",
            "StreamEnded",
        ]
        dropped = lane.metrics.registry.get_sample_value(
            "instore_crops_dropped_total", {"reason": "queue_full"}
        )
        assert dropped == 3

    def test_leaves_its_windows_open_for_whoever_takes_over(self):
        lane = Lane()
        lane.worker._resumes = True
        messages = lane.run(frame(0), lambda: lane.worker.retire(gone=False))
        assert not any(isinstance(message, StreamEnded) for message in messages)

    def test_closes_them_when_its_camera_is_gone(self):
        lane = Lane()
        lane.worker._resumes = True
        messages = lane.run(frame(0), lambda: lane.worker.retire(gone=True))
        assert isinstance(messages[-1], StreamEnded)

    def test_does_not_hear_a_retired_source(self):
        lane = Lane()
        lane.worker.retire(gone=True)
        lane.worker.report(CameraStatus("door", CameraState.UP, EPOCH))
        lane.worker.drop("corrupt")
        assert lane.worker.status.state is CameraState.DOWN
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 0

    def test_closes_the_vision_when_a_frame_ends_it(self):
        closed: list[str] = []

        class Broken:
            def process(self, _: Frame) -> None:
                raise RuntimeError("a bug")

            def close(self) -> None:
                closed.append("vision")

        lane = Lane()
        lane.worker._make_vision = Broken
        with pytest.raises(RuntimeError, match="a bug"):
            lane.run(frame(0))
        assert closed == ["vision"]


class Disk:
    """Takes windows, but refuses the next `faults` of them."""

    def __init__(self, faults: int = 0) -> None:
        self.faults = faults
        self.attempts = 0
        self.windows: list[WindowCounts] = []

    def store(self, window: WindowCounts) -> None:
        self.attempts += 1
        if self.faults:
            self.faults -= 1
            raise OutsideError("outbox: disk full")
        self.windows.append(window)

    @property
    def starts(self) -> list[float]:
        return [(w.start - EPOCH).total_seconds() for w in self.windows]


class TestCountingWorker:
    def worker(self, disk: Disk) -> tuple[CountingWorker, MessageQueue, ManualClock, Metrics]:
        clock, queue = ManualClock(), MessageQueue(100)
        metrics = Metrics(clock, ["door"])
        counting = build_counting(settings("windows.length=60"), bundle(), PaintedAges(), metrics)
        worker = CountingWorker(
            counting,
            queue,
            store=disk.store,
            metrics=metrics,
            clock=clock,
            real_time={"door"}.__contains__,
        )
        return worker, queue, clock, metrics

    def test_stores_what_closes_and_ends_with_the_queue(self):
        disk = Disk()
        worker, queue, _, _ = self.worker(disk)
        for message in (Progress("door", at(0)), Progress("door", at(62)), StreamEnded("door", at(63))):
            queue.put(message)
        queue.close()
        beats: list[int] = []
        worker.run(lambda: beats.append(1))
        assert disk.starts == [0, 60]
        assert worker.unstored == 0
        assert len(beats) == 3

    def test_judges_what_still_waits_at_the_end(self):
        disk = Disk()
        worker, queue, _, _ = self.worker(disk)
        face = np.full((64, 64, 3), 2 * ANN.age, np.uint8)
        for message in (
            Progress("door", at(0)),
            FaceCrop("door", 1, face, 0.5),
            TrackEnded("door", 1, at(2), timedelta(seconds=1)),
            StreamEnded("door", at(3)),
        ):
            queue.put(message)
        queue.close()
        worker.run(lambda: None)
        assert [w.counts["18-24"] for w in disk.windows] == [1]

    def test_keeps_what_the_disk_refuses_and_tries_again_in_order(self, caplog: pytest.LogCaptureFixture):
        disk = Disk(faults=2)
        worker, queue, clock, metrics = self.worker(disk)
        with caplog.at_level(logging.ERROR):
            for seconds in (0, 62, 63):
                queue.put(Progress("door", at(seconds)))
                worker._step()
        assert (disk.attempts, disk.starts, worker.unstored) == (1, [], 1)
        assert "disk full; 1 closed windows and what is open wait in memory" in caplog.text
        clock.advance(STORE_RETRY)
        queue.put(Progress("door", at(64)))
        worker._step()
        assert (disk.attempts, worker.unstored) == (2, 1)
        # A window that closes is an occasion to try at once.
        queue.put(Progress("door", at(122)))
        worker._step()
        assert (disk.starts, worker.unstored) == ([0, 60], 0)
        assert metrics.registry.get_sample_value("instore_outbox_failures_total") == 2

    def test_tries_again_while_nothing_comes(self):
        disk = Disk(faults=1)
        worker, queue, clock, _ = self.worker(disk)
        for seconds in (0, 62):
            queue.put(Progress("door", at(seconds)))
            worker._step()
        clock.advance(STORE_RETRY)
        worker._store([])  # what an idle step comes to
        assert disk.starts == [0]

    def test_complains_of_a_refusing_disk_once_and_again_after_it_worked(self, caplog):
        disk = Disk(faults=3)
        worker, queue, _, metrics = self.worker(disk)
        for minute in range(6):
            disk.faults += minute == 5
            queue.put(Progress("door", at(60 * minute + 3)))
            worker._step()
        assert caplog.text.count("disk full") == 2
        assert metrics.registry.get_sample_value("instore_outbox_failures_total") == 4
        assert disk.starts == [0, 60, 120, 180]

    def test_bounds_what_waits_in_memory_and_counts_what_it_gives_up(self, monkeypatch, caplog):
        monkeypatch.setattr(workers, "MOST_UNSTORED", 3)
        disk = Disk(faults=1_000)
        worker, queue, _, metrics = self.worker(disk)
        queue.put(Progress("door", at(0)))
        worker._step()
        queue.put(Progress("door", at(602)))
        worker._step()
        assert worker.unstored == 3
        assert metrics.registry.get_sample_value("instore_outbox_dropped_total") == 7
        assert caplog.text.count("is given up: the disk has refused 3 younger ones, too") == 7
        disk.faults = 0
        queue.put(Progress("door", at(662)))
        worker._step()
        assert disk.starts == [420 + 60, 540, 600]

    def test_tries_at_the_end_without_waiting_for_its_turn(self):
        disk = Disk(faults=2)
        worker, queue, _, _ = self.worker(disk)
        for seconds in (0, 62):
            queue.put(Progress("door", at(seconds)))
            worker._step()
        worker.end()
        assert (disk.starts, worker.unstored) == ([0], 0)

    def test_a_bug_of_the_store_is_no_outside_fault(self):
        worker, queue, _, _ = self.worker(Disk())
        vars(worker)["_put"] = lambda _: 1 / 0
        queue.put(Progress("door", at(0)))
        queue.put(Progress("door", at(62)))
        queue.close()
        with pytest.raises(ZeroDivisionError):
            worker.run(lambda: None)

    def test_measures_from_capture_to_decision(self):
        worker, queue, clock, metrics = self.worker(Disk())
        clock.advance(0.3)
        queue.put(Progress("door", at(0.1), analysed=1))
        queue.put(Progress("door", at(0.2), analysed=0))
        worker._step()
        worker._step()
        assert metrics.registry.get_sample_value("instore_decision_seconds_count") == 1
        assert metrics.registry.get_sample_value("instore_decision_seconds_sum") == pytest.approx(0.2)
