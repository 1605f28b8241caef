"""The vision thread's loop in the test's own thread: frames and lost frames to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from edge.capture import LatestFrame, Picture, Shot
from edge.capture.rotate_crop import View
from edge.daemon.cameras.camera_state import WatchedCamera
from edge.daemon.cameras.vision_thread import VisionWorker
from edge.daemon.queue import MessageQueue
from edge.ops.metrics import Metrics
from edge.ops.reasons import FrameDrop
from edge.types import (
    CameraState,
    CameraStatus,
    Decided,
    Foreseen,
    Frame,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
)
from tests.edge.capture.fakes import Counted
from tests.fakes import EPOCH, ManualClock, Person, bundle, paint, painted_vision, settings
from tests.samples import sample

ANN = Person(tag=1, age=20)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


Step = Frame | Callable[[], None] | tuple[Callable[[], None], Frame] | None


class Lane:
    """A vision worker whose slot follows a script: a frame, None for none in time, a call."""

    def __init__(self, *overrides: str, queue: int = 100, **options: Any) -> None:
        configured = settings(*overrides)
        camera = configured.cameras[0]
        self.clock = ManualClock()
        self.metrics = Metrics(self.clock, ["door"])
        self.queue = MessageQueue(queue)
        self.watched = WatchedCamera(camera, self.clock, lambda status: None)
        self.slot: LatestFrame = ScriptedSlot(self.clock)
        vision = partial(painted_vision, camera, configured, bundle(), self.metrics, people=[ANN])
        self.beats = 0
        self.worker = VisionWorker(
            camera, options.pop("vision", vision), self.queue, self.watched,
            slot=options.pop("slot", self.slot), metrics=self.metrics, clock=self.clock, **options,
        )  # fmt: skip

    def run(self, *script: Step) -> list[object]:
        if isinstance(self.slot, ScriptedSlot):
            self.slot.script = list(script)
        self.worker.run(self.beat)
        return list(iter(lambda: self.queue.take(0), None))

    def record(self) -> list[Message]:
        """All that is put into the queue from now on."""
        seen: list[Message] = []
        put = self.queue.put

        def recorded(message: Message, *, wait: bool = False) -> bool:
            seen.append(message)
            return put(message, wait=wait)

        self.queue.put = recorded  # type: ignore[method-assign]
        return seen

    def keep_vision(self) -> list[Any]:
        """The vision, once the worker has made it."""
        made: list[Any] = []
        make = self.worker._make_vision

        def kept() -> Any:
            made.append(make())
            return made[-1]

        self.worker._make_vision = kept
        return made

    def beat(self) -> None:
        self.beats += 1

    def sample(self, name: str, **labels: str) -> float | None:
        return sample(self.metrics, name, {"camera": "door", **labels})


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


class ScriptedSlot(LatestFrame):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.script: list[Step] = []
        self._clock = clock

    @property
    def ended(self) -> bool:
        return not self.script

    def wait(self, timeout: float) -> bool:
        step = self.script[0]
        if isinstance(step, tuple):
            call, step = step
            call()
        if isinstance(step, Frame):
            self._clock.advance(0.2)
            self.script[0] = step
            return True
        self.script.pop(0)
        self._clock.advance(timeout)
        if step is not None:
            step()
        return False

    def take(self, timeout: float = 0.0) -> Frame | None:
        step = self.script.pop(0)
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


@pytest.mark.parametrize(("pace", "told"), [("real", True), ("full", False)])
def test_tells_what_it_foresees_unless_nothing_waits_for_the_recording(pace: str, told: bool) -> None:
    """A recording at full speed is as fast as the model either way."""
    lane = Lane("cameras.0.source=clip.mp4", f"cameras.0.pace={pace}")
    seen = lane.record()
    assert kinds(lane.run(*frames(3))).count("FaceCrop") == 4
    assert ("Foreseen" in kinds(seen)) is told


def test_withdraws_what_it_foresaw_of_who_is_not_counted_at_its_end() -> None:
    """Also where its windows stay open, so that no end of the stream takes it away."""
    lane = Lane(resumes=True)
    made, seen = lane.keep_vision(), lane.record()

    def turns_out_to_be_a_poster() -> None:
        for visitor in made[0]._visitors._visitors.values():
            visitor.place.is_poster = True

    messages = lane.run(*frames(3), turns_out_to_be_a_poster)
    assert not any(isinstance(m, TrackEnded | StreamEnded) for m in messages)
    *before, last = [m for m in seen if isinstance(m, Foreseen)]
    assert (before[-1].crops != (), last.crops) == (True, ())
    assert [m for m in messages if isinstance(m, Foreseen)] == [last]


class TestVisionWorker:
    def test_ends_with_who_is_in_view_and_the_end_of_the_stream(self) -> None:
        visits: list[TrackEnded] = []
        lane = Lane(count=visits.append)
        messages = lane.run(*frames(1))
        assert [m for m in messages if isinstance(m, TrackEnded)] == visits
        messages = [m for m in messages if not isinstance(m, Foreseen)]
        assert kinds(messages[:5]) == ["Progress"] * 5
        assert kinds(messages[5:]) == ["FaceCrop"] * 2 + ["TrackEnded", "Progress", "StreamEnded"]
        assert messages[-1] == StreamEnded("door", at(0.8))
        seen = lane.watched.snapshot
        assert seen.ready
        assert (seen.visitors, seen.analysed, seen.in_view) == (1, 5, 0)
        assert lane.beats == 5

    def test_says_when_all_that_a_frame_gave_to_count_was_sent(self) -> None:
        empty = [frame(1 + n / 5, empty=True) for n in range(30)]
        messages = Lane("tracking.lost_after=1.5").run(*frames(1), *empty)
        (place,) = (n for n, message in enumerate(messages) if isinstance(message, Decided))
        decided, progress = messages[place : place + 2]
        assert kinds(messages[place - 3 : place]) == ["FaceCrop", "FaceCrop", "TrackEnded"]
        assert isinstance(decided, Decided)
        assert progress == Progress("door", decided.captured_at, 1, nothing_to_count=False)
        others = [m for m in messages if isinstance(m, Progress) and m != progress]
        assert all(other.nothing_to_count for other in others if other.analysed)

    def test_without_a_frame_says_nothing(self) -> None:
        assert Lane("cameras.0.source=clip.mp4").run(None) == []

    def test_reports_each_frame_s_own_state(self) -> None:
        lane = Lane()
        lane.watched.report(CameraStatus("door", CameraState.DOWN, at(2), "the recording has ended"))
        messages = lane.run(frame(0), frame(1, CameraState.DARK, empty=True))
        assert [m.state for m in messages if isinstance(m, Progress) and m.analysed] == ["up", "dark"]

    def test_lets_time_pass_for_a_live_camera_without_frames(self) -> None:
        lane = Lane()
        messages = lane.run(*frames(1), None, None, None)
        index, ended = next((i, m) for i, m in enumerate(messages) if isinstance(m, TrackEnded))
        assert ended.ended_at == at(0.8)
        after = [m for m in messages[index:] if isinstance(m, Progress)]
        assert after[0].state is CameraState.DOWN
        assert after[0].analysed == 0
        assert after[0].event_time > at(2.3)

    def test_waits_with_its_windows_for_the_next_frame_of_a_slow_camera(self) -> None:
        """A visitor who is hidden ends with that frame, up to 8 s after they were seen last."""
        lane = Lane()
        lane.watched.report(CameraStatus("door", CameraState.UP, at(0)))
        messages = lane.run(*frames(1), None, None, frame(3.2))
        times = [m.event_time for m in messages if isinstance(m, Progress)]
        assert times[4:] == [at(0.8)] * 3 + [at(3.2)] * 2

    def test_visits_that_end_after_an_interruption_come_before_it(self) -> None:
        """It closes windows, and they were alive until then."""
        lane = Lane("tracking.lost_after=1.5")
        down = CameraStatus("door", CameraState.DOWN, at(0.9), "the stream broke off")
        messages = lane.run(*frames(1), (lambda: lane.watched.report(down), frame(5, empty=True)))
        places = kinds(messages)
        ended = places.index("TrackEnded")
        assert [m.state for m in messages[ended:] if isinstance(m, Progress)][:2] == ["down", "up"]
        assert all(m.state == "up" for m in messages[:ended] if isinstance(m, Progress))

    def test_does_not_for_a_recording(self) -> None:
        lane = Lane("cameras.0.source=clip.mp4")
        messages = lane.run(*frames(1), None, None, None, None)
        assert max(m.event_time for m in messages if isinstance(m, Progress)) == at(0.8)

    def test_analyses_the_newest_frame_when_its_turn_comes(self) -> None:
        """A thread that waits for its turn holds no frame: the newest is analysed, and memory is saved."""
        slot = LatestFrame()

        def another_comes() -> None:
            slot.put(frame(0.4))
            slot.close()

        turn = Turn(another_comes)
        lane = Lane(slot=slot, turn=turn)
        slot.put(frame(0.2))
        seen = [m for m in lane.run() if isinstance(m, Progress)]
        assert [(m.event_time, m.analysed) for m in seen] == [(at(0.4), 1), (at(0.4), 0)]
        assert not turn.held

    def test_counts_a_frame_that_cannot_be_converted_as_corrupt(self) -> None:
        slot = LatestFrame()
        lane = Lane(slot=slot)
        picture = Picture(Counted(90, broken=True))
        slot.put(Shot("door", at(0.2), picture, View(0, (0.0, 0.0, 1.0, 1.0)), CameraState.UP))
        slot.close()
        lane.run()
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 1

    def test_reports_an_interruption_shorter_than_a_tick(self) -> None:
        """Else the time between the two pictures would count as watched."""
        lane = Lane()
        down = CameraStatus("door", CameraState.DOWN, at(0.3), "the stream broke off")
        messages = lane.run(frame(0), frame(0.2), (lambda: lane.watched.report(down), frame(1.4)), frame(1.6))
        states = [(m.event_time, m.state) for m in messages if isinstance(m, Progress)]
        assert states[:5] == [
            (at(0), "up"),
            (at(0.2), "up"),
            (at(1.4), "down"),
            (at(1.4), "up"),
            (at(1.6), "up"),
        ]

    def test_a_picture_from_before_the_fault_was_watched(self) -> None:
        lane = Lane()
        down = CameraStatus("door", CameraState.DOWN, at(0.3), "the stream broke off")
        messages = lane.run(frame(0), (lambda: lane.watched.report(down), frame(0.2)), frame(0.5))
        states = [m.state for m in messages if isinstance(m, Progress)]
        assert states[:4] == ["up", "up", "down", "up"]

    def test_counts_lost_frames_with_their_reason_once(self) -> None:
        lane = Lane()
        lane.worker.lose_frame(FrameDrop.OVERWRITTEN)
        lane.worker.lose_frame(FrameDrop.OVERWRITTEN)
        lane.worker.lose_frame(FrameDrop.CORRUPT)
        progress = [m for m in lane.run(frame(0), frame(0.2)) if isinstance(m, Progress)]
        assert [dict(m.dropped) for m in progress] == [{"overwritten": 2, "corrupt": 1}, {}, {}]
        assert lane.sample("instore_frames_dropped_total", reason="overwritten") == 2
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 1
        assert lane.sample("instore_frames_captured_total") == 5
        assert lane.sample("instore_frames_analysed_total") == 2

    def test_counts_frames_lost_after_the_last_one(self) -> None:
        lane = Lane("cameras.0.source=clip.mp4")
        messages = lane.run(frame(0), lambda: lane.worker.lose_frame(FrameDrop.CORRUPT))
        assert [dict(m.dropped) for m in messages if isinstance(m, Progress)] == [{}, {"corrupt": 1}]
        assert isinstance(messages[-1], StreamEnded)

    def test_counts_lost_frames_of_a_recording_without_any_other(self) -> None:
        lane = Lane("cameras.0.source=clip.mp4")
        assert lane.run(lambda: lane.worker.lose_frame(FrameDrop.CORRUPT)) == []
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 1

    def test_counts_crops_for_which_there_is_no_room_and_loses_nothing_else(self) -> None:
        lane = Lane(queue=1)
        messages = lane.run(*frames(3))
        assert kinds(m for m in messages if not isinstance(m, Progress | Foreseen)) == [
            "FaceCrop",
            "TrackEnded",
            "StreamEnded",
        ]
        dropped = sample(lane.metrics, "instore_crops_dropped_total", {"reason": "queue_full"})
        assert dropped == 3

    def test_leaves_its_windows_open_for_the_next_worker(self) -> None:
        lane = Lane(resumes=True)
        messages = lane.run(frame(0), lambda: lane.watched.retire(removed=False))
        assert not any(isinstance(message, StreamEnded) for message in messages)

    def test_closes_them_when_its_camera_is_removed(self) -> None:
        lane = Lane(resumes=True)
        messages = lane.run(frame(0), lambda: lane.watched.retire(removed=True))
        assert isinstance(messages[-1], StreamEnded)

    def test_ignores_a_retired_source(self) -> None:
        lane = Lane()
        lane.watched.retire(removed=True)
        lane.watched.report(CameraStatus("door", CameraState.UP, EPOCH))
        lane.worker.lose_frame(FrameDrop.CORRUPT)
        assert lane.watched.snapshot.status.state is CameraState.DOWN
        assert lane.sample("instore_frames_dropped_total", reason="corrupt") == 0

    def test_closes_the_vision_when_a_frame_ends_it(self) -> None:
        closed: list[str] = []

        class Broken:
            def process(self, _: Frame) -> None:
                raise RuntimeError("a bug")

            def close(self) -> None:
                closed.append("vision")

        lane = Lane(vision=Broken)
        with pytest.raises(RuntimeError, match="a bug"):
            lane.run(frame(0))
        assert closed == ["vision"]
