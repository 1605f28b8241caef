"""The stages put together, on painted visitors: who is counted, when, and what is kept of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edge.config import Settings
from edge.counting.pipeline import Counting, build_counting
from edge.ops.metrics import Metrics
from edge.ops.reasons import TrackEnd
from edge.quantities import QUEUE
from edge.types import (
    FaceCrop,
    Foreseen,
    Frame,
    GroupEnded,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
    WindowCounts,
)
from edge.vision.crops import Crop
from edge.vision.pipeline import Vision
from tests.fakes import (
    EPOCH,
    ManualClock,
    PaintedAges,
    PaintedCheck,
    PaintedFaces,
    Person,
    bundle,
    paint,
    painted_vision,
    settings,
)
from tests.samples import sample

FPS = 5
ANN = Person(tag=1, age=20)
BEA = Person(tag=2, age=50)
BACK = Person(tag=3, age=40, score=0.75, second=0.54)
BLURRED = Person(tag=4, age=40, score=0.8, second=0.5)
HOPELESS = Person(tag=5, age=40, score=0.75, second=0.05)

Place = tuple[float, float, float]
Where = Callable[[float], Place | None]


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def standing(x: float = 160, y: float = 90, *, since: float = 0.0, until: float = 1e9) -> Where:
    return lambda t: (x, y, 40) if since <= t < until else None


class Stage:
    """One camera: who is where when, and all that the vision says of it."""

    def __init__(self, places: dict[Person, Where], *overrides: str) -> None:
        self.places = places
        self.settings: Settings = settings("tracking.lost_after=1.5", *overrides)
        self.metrics = Metrics(ManualClock(), ["door"])
        self.vision: Vision = painted_vision(
            self.settings.cameras[0], self.settings, bundle(), self.metrics, people=list(places)
        )
        self.messages: list[Message] = []
        self.foreseen: list[Foreseen] = []
        self.in_view = 0
        self.size = 180, 320

    def frame(self, seconds: float) -> Frame:
        image = np.zeros((*self.size, 3), np.uint8)
        for person, where in self.places.items():
            if place := where(seconds):
                paint(image, person, *place)
        return Frame("door", at(seconds), image)

    def play(self, begin: float, end: float, *, shift: float = 0.0, segment: int = 0) -> Stage:
        """Show the seconds [begin, end), stamped `shift` seconds later."""
        for number in range(round(begin * FPS), round(end * FPS)):
            frame = self.frame(number / FPS)
            stamped = Frame(
                "door", frame.captured_at + timedelta(seconds=shift), frame.image, segment=segment
            )
            result = self.vision.process(stamped)
            self.messages += result.messages
            self.foreseen += result.foreseen
            self.in_view = result.in_view
        return self

    def finish(self) -> Stage:
        self.messages += self.vision.finish()
        return self

    @property
    def ends(self) -> list[float]:
        return [(m.ended_at - EPOCH).total_seconds() for m in self.messages if isinstance(m, TrackEnded)]

    @property
    def crops(self) -> list[FaceCrop]:
        return [m for m in self.messages if isinstance(m, FaceCrop)]

    def fates(self) -> dict[str, float]:
        read = partial(sample, self.metrics)
        counts = {
            reason: read("instore_tracks_ended_total", {"camera": "door", "reason": reason})
            for reason in TrackEnd
        }
        return {reason: count for reason, count in counts.items() if count}


class TestVisitor:
    def test_is_counted_once_when_gone_at_the_moment_last_seen(self):
        stage = Stage({ANN: standing(until=3)}).play(0, 3)
        assert (stage.ends, stage.in_view) == ([], 1)
        stage.play(3, 10).finish()
        assert stage.ends == [2.8]
        assert stage.in_view == 0
        assert stage.fates() == {"visitor": 1}

    def test_is_told_with_pictures_first_and_the_dwell(self):
        stage = Stage({ANN: standing(since=1, until=4)}).play(0, 8)
        assert [type(m) for m in stage.messages] == [FaceCrop] * 4 + [TrackEnded]
        end = stage.messages[-1]
        assert isinstance(end, TrackEnded)
        assert (end.camera_id, end.dwell) == ("door", timedelta(seconds=2.8))
        assert {c.track_id for c in stage.crops} == {end.track_id}

    def test_is_pictured_as_often_as_configured(self):
        stage = Stage({ANN: standing(since=1)}, "crops.spacing=0.8").play(0, 4)
        (visitor,) = stage.vision._visitors._visitors.values()
        moments = sorted(crop.taken_at for crop in visitor.crops.best)
        assert all(b - a >= timedelta(seconds=0.8) for a, b in pairwise(moments))
        assert len(moments) > 2

    def test_is_looked_at_less_often_once_there_are_enough_pictures(self):
        """Four of them half a second apart; from then on a glance a second instead of four."""
        stage = Stage({ANN: standing()})
        detector = stage.vision._opinion._detector
        assert isinstance(detector, PaintedFaces)
        glances = detector.looks
        stage.play(0, 3)
        pictured = len(glances)
        stage.play(3, 13)
        assert (pictured, len(glances) - pictured) == (9, 10)

    def test_is_pictured_as_the_bundle_says(self):
        crop = Stage({ANN: standing(until=2)}).play(0, 5).crops[0]
        assert crop.image.shape == (42, 42, 3)  # 40 px x 1.04
        assert crop.image[21, 21].tolist()[::2] == [ANN.tag, 2 * ANN.age]
        assert 0.05 < crop.quality <= 1

    def test_is_the_same_after_a_second_out_of_sight(self):
        gap = lambda t: None if 2 <= t < 3 else (160, 90, 40)  # noqa: E731
        assert len(Stage({ANN: gap}).play(0, 5).finish().ends) == 1

    def test_who_comes_again_later_is_another(self):
        gap = lambda t: None if 2 <= t < 5 else (160, 90, 40)  # noqa: E731
        assert Stage({ANN: gap}).play(0, 7).finish().ends == [1.8, 6.8]

    def test_who_is_there_after_the_recording_has_jumped_is_another(self):
        stage = Stage({ANN: standing()}).play(0, 2).play(2, 4, segment=1).finish()
        assert stage.ends == [1.8, 3.8]
        assert stage.fates() == {"visitor": 2}

    def test_who_is_there_after_the_size_has_changed_is_another(self):
        """Where the pixels of a face were is another place of the new picture."""
        stage = Stage({ANN: standing()}).play(0, 3)
        stage.size = 360, 640
        stage.play(3, 6).finish()
        assert stage.ends == [2.8, 5.8]

    def test_pictures_too_small_for_the_smallest_face_are_named_once(self, caplog):
        stage = Stage({}, "detection.min_face=25").play(0, 2)
        assert [record.getMessage() for record in caplog.records if "too small" in record.getMessage()] == [
            "camera 'door': pictures of 320x180 are too small for detection.min_face = 25: a person who is "
            "seen from head to foot is not counted; allowed: 188 lines or more"
        ]
        stage.size = 360, 640
        stage.play(2, 3)
        assert len(caplog.records) == 1

    def test_who_is_there_after_a_cut_is_another(self):
        """Two places by turns, with somebody in the same spot."""
        rooms = [np.random.default_rng(n).integers(0, 150, (9, 16, 3), np.uint8) for n in (0, 1)]
        stage = Stage({ANN: standing()})
        plain = stage.frame

        def frame(seconds: float) -> Frame:
            room = np.kron(rooms[int(seconds >= 2)], np.ones((20, 20, 1), np.uint8))
            room[..., 2] = 0
            face = plain(seconds).image
            return Frame("door", at(seconds), np.where(face.any(axis=2, keepdims=True), face, room))

        stage.frame = frame  # type: ignore[method-assign]
        assert stage.play(0, 4).finish().ends == [1.8, 3.8]

    def test_two_are_two(self):
        stage = Stage({ANN: standing(60, until=3), BEA: standing(250, until=4)}).play(0, 8)
        assert stage.ends == [2.8, 3.8]
        ages = {c.track_id: c.image[20, 20, 2] // 2 for c in stage.crops}
        assert list(ages.values()) == [20, 50]

    def test_two_who_cross_are_two(self):
        walk: dict[Person, Any] = {
            ANN: lambda t: (40 + 60 * t, 90, 40),
            BEA: lambda t: (280 - 60 * t, 95, 40),
        }
        stage = Stage(walk).play(0, 4).finish()
        assert len(stage.ends) == 2
        assert len({c.track_id for c in stage.crops}) == 2

    def test_of_a_glimpse_is_none(self):
        stage = Stage({ANN: standing(until=0.4)}).play(0, 5).finish()
        assert (stage.messages, stage.fates()) == ([], {"too_short": 1})

    def test_seen_from_behind_is_none_however_long(self):
        stage = Stage({BACK: standing(until=60)}).play(0, 63).finish()
        assert (stage.messages, stage.fates()) == ([], {"not_a_face": 1})
        assert stage.in_view == 0

    def test_seen_from_behind_is_looked_at_less_often_once_looks_denied_it(self):
        """Six looks in 1.2 s, then one every 0.6 s."""
        stage = Stage({BACK: standing()})
        check = cast("PaintedCheck", stage.vision._visitors._check)
        stage.play(0, 1.2)
        doubted = check.looks
        stage.play(1.2, 7.2)
        assert (doubted, check.looks - doubted) == (6, 10)

    def test_who_is_doubted_and_then_seen_clearly_for_a_moment_is_counted(self):
        """0.8 s of a face have two looks at the pause of backs of heads, and four are needed."""
        sure = replace(ANN, second=0.99)
        stage = Stage({BACK: standing(until=3), sure: standing(since=3, until=3.8)}).play(0, 8)
        assert (stage.ends, stage.fates()) == ([3.6], {"visitor": 1})

    def test_a_visitor_who_has_turned_away_is_looked_at_no_more_often_for_a_clear_first_score(self):
        """Once a second, as a visitor with enough pictures."""
        stage = Stage({ANN: standing(until=4), BLURRED: standing(since=4)})
        glances = cast("PaintedFaces", stage.vision._opinion._detector).looks
        stage.play(0, 10)
        turned = len(glances)
        stage.play(10, 20)
        assert len(glances) - turned == 10

    def test_whom_the_face_check_clearly_denies_is_not_searched_for_a_crop(self):
        stage = Stage({HOPELESS: standing()})
        glances = cast("PaintedFaces", stage.vision._opinion._detector).looks
        assert stage.play(0, 3).finish().ends == []
        assert glances == []

    def test_who_is_a_face_needs_no_further_check(self):
        stage = Stage({ANN: standing()})
        check = cast("PaintedCheck", stage.vision._visitors._check)
        stage.play(0, 10)
        assert check.looks == 3

    def test_a_face_that_hangs_still_for_ten_minutes_at_a_frame_a_second_is_none(self):
        def counted(seconds: int) -> list[float]:
            stage = Stage({ANN: standing()})
            for second in range(seconds):
                stage.messages += stage.vision.process(stage.frame(second)).messages
            return stage.finish().ends

        assert (counted(30), counted(600)) == ([29], [])

    def test_who_turns_round_is_one(self):
        turn = {BACK: standing(until=5), ANN: standing(since=5, until=7)}
        stage = Stage(turn).play(0, 10)
        assert stage.ends == [6.8]
        assert all(c.image[20, 20, 0] == ANN.tag for c in stage.crops[:2])

    def test_whose_track_began_again_beside_the_place_where_it_was_lost_is_one(self):
        """Half hidden then; what was seen before and after is put together."""
        half = lambda t: (200.0, 90.0, 24.0) if 3.4 <= t < 6 else None  # noqa: E731
        stage = Stage({BACK: standing(until=3), ANN: half}).play(0, 9)
        end = stage.messages[-1]
        assert isinstance(end, TrackEnded)
        assert (stage.fates(), end.track_id, end.dwell) == ({"visitor": 1}, 1, timedelta(seconds=5.8))
        assert {crop.track_id for crop in stage.crops} == {1}

    def test_whose_track_began_again_has_waited_all_the_time(self):
        queue = "{name='till', role='queue', polygon=[[0, 0], [1, 0], [1, 1], [0, 1]]}"
        half = lambda t: (200.0, 90.0, 24.0) if 3.4 <= t < 6 else None  # noqa: E731
        stage = Stage({ANN: standing(until=3), BEA: half}, f"cameras.door.zones=[{queue}]").play(0, 9)
        end = stage.messages[-1]
        assert isinstance(end, TrackEnded)
        assert [one.amount for one in end.contributions if one.quantity == QUEUE] == [6]

    def test_without_a_picture_worth_judging_is_counted_all_the_same(self):
        stage = Stage({ANN: standing(until=3)}, "crops.min_quality=1.0").play(0, 6)
        assert (stage.ends, stage.crops) == ([2.8], [])

    def test_smaller_than_asked_for_is_none(self):
        assert Stage({ANN: standing(until=3)}, "detection.min_face=41").play(0, 6).finish().messages == []

    def test_in_view_when_time_goes_back_is_counted_as_well(self):
        stage = Stage({ANN: standing(since=0.6, until=5)}).play(0, 1).play(1, 10, shift=-3600)
        assert stage.fates() == {"visitor": 1}


class TestMaxAge:
    def test_counts_who_stays_once_and_then(self):
        stage = Stage({ANN: standing(until=20)}, "tracking.max_age=10").play(0, 15)
        assert stage.ends == [10]
        assert len(stage.crops) == 4
        stage.play(15, 30).finish()
        assert stage.ends == [10]
        assert stage.fates() == {"visitor": 1, "recounted": 1}

    def test_ends_the_wait_for_a_group(self):
        stage = Stage(
            {ANN: standing(until=20), BEA: standing(250, until=3)},
            "tracking.max_age=10",
            "groups.enabled=true",
        )
        found = [one for one in stage.play(0, 12).messages if isinstance(one, GroupEnded)]
        assert [one.size for one in found] == [2]

    def test_does_not_count_a_back(self):
        assert Stage({BACK: standing()}, "tracking.max_age=2").play(0, 10).finish().messages == []


class TestEnd:
    def test_finish_counts_those_in_view_and_leaves_nobody_there(self):
        stage = Stage({ANN: standing(), BEA: standing(250)}).play(0, 3).finish()
        assert stage.ends == [2.8, 2.8]
        assert stage.finish().ends == [2.8, 2.8]

    def test_time_ends_the_tracks_of_a_camera_that_gives_no_frames(self):
        stage = Stage({ANN: standing()}).play(0, 3)
        waiting = stage.vision.pass_time(at(4))
        assert (waiting.messages, waiting.in_view) == ([], 1)
        gone = stage.vision.pass_time(at(5))
        assert gone.in_view == 0
        (end,) = [m for m in gone.messages if isinstance(m, TrackEnded)]
        assert end.ended_at == at(2.8)
        assert stage.vision.pass_time(at(6)).messages == []

    def test_close_closes_both_detectors(self):
        closed: list[str] = []

        class Closing:
            def __init__(self, name: str) -> None:
                self.close = lambda: closed.append(name)

        stage = Stage({})
        vision: Any = stage.vision
        vision._scanner, vision._opinion = Closing("first"), Closing("second")
        stage.vision.close()
        assert closed == ["first", "second"]


class TestMemory:
    def test_no_frame_is_held_after_it_was_looked_at(self):
        stage = Stage({ANN: standing()}).play(0, 2)
        frame = stage.frame(2)
        alive = weakref.ref(frame.image)
        stage.vision.process(frame)
        del frame
        gc.collect()
        assert alive() is None

    def test_no_picture_of_a_visitor_outlives_the_counting(self):
        stage = Stage({ANN: standing(until=3)}).play(0, 6)
        counting = build_counting(stage.settings, bundle(), PaintedAges(), stage.metrics)
        pictures = [weakref.ref(c.image) for c in stage.crops]
        while stage.foreseen:
            counting.handle(stage.foreseen.pop(0), 0.0)
        while stage.messages:
            counting.handle(stage.messages.pop(0), 0.0)
        counting.flush()
        gc.collect()
        assert pictures
        assert [picture() for picture in pictures] == [None] * len(pictures)

    def test_the_crops_of_a_short_track_go_with_it(self):
        stage = Stage({ANN: standing(until=0.4)}).play(0, 0.4)
        crops = next(iter(stage.vision._visitors._visitors.values())).crops.best
        pictures = [weakref.ref(crop.image) for crop in crops]
        del crops
        stage.play(0.4, 3)
        gc.collect()
        assert pictures
        assert [picture() for picture in pictures] == [None] * len(pictures)
        assert stage.vision._visitors._visitors == {}

    @pytest.mark.parametrize("fate", ["staff", "returned", "counted"])
    def test_no_picture_is_kept_of_who_stays_and_will_not_be_counted_again(self, fate: str):
        stage = Stage({ANN: standing()}, *(["tracking.max_age=3"] if fate == "counted" else [])).play(0, 2.8)
        (visitor,) = stage.vision._visitors._visitors.values()
        pictures = [weakref.ref(crop.image) for crop in visitor.crops.best]
        visitor.stay.is_staff, visitor.returned = fate == "staff", fate == "returned"
        stage.play(2.8, 3.2)
        assert (stage.ends != []) is (fate == "counted")
        stage.foreseen.clear()
        stage.messages.clear()
        gc.collect()
        assert len(pictures) > 2
        assert [picture() for picture in pictures] == [None] * len(pictures)
        assert visitor.end in (TrackEnd.STAFF, TrackEnd.RECOUNTED)
        assert stage.play(3.2, 8).foreseen == []
        assert (visitor.crops.best, visitor.handed) == ([], {})

    @pytest.mark.parametrize("ends", [True, False])
    def test_a_picture_that_a_better_one_has_replaced_goes_also_of_who_is_no_visitor(self, ends: bool):
        """Of a poster, which may turn out to be a person after all: it keeps its best."""
        stage = Stage({ANN: standing()}).play(0, 4)
        (visitor,) = stage.vision._visitors._visitors.values()
        replaced = [weakref.ref(crop.image) for crop in visitor.crops.best]
        visitor.place.add = lambda *look: None  # type: ignore[method-assign]
        visitor.place.is_poster = ends
        stage.foreseen.clear()
        for n in range(4):
            image = np.full((8, 8, 3), n, np.uint8)
            visitor.crops.offer(Crop(image, 0.99, at(1000 + 10 * n)))
        stage.play(4, 4.6)
        stage.foreseen.clear()
        gc.collect()
        assert [picture() for picture in replaced] == [None] * len(replaced)
        assert (visitor.handed == {}) is ends


class TestForeseen:
    def test_are_the_pictures_that_come_with_the_end(self):
        stage = Stage({ANN: standing(until=3)}).play(0, 6)
        assert len(stage.crops) == 4
        *_, last = stage.foreseen
        assert last.crops
        assert set(last.crops) <= set(stage.crops)
        order = [stage.crops.index(crop) for crop in last.crops]
        assert order == sorted(order)

    def test_are_told_once_and_only_once_they_are_settled(self):
        stage = Stage({ANN: standing()}, "crops.spacing=0.8")
        for frame in range(20):
            before = len(stage.foreseen)
            stage.play(frame / FPS, (frame + 1) / FPS)
            (visitor,) = stage.vision._visitors._visitors.values()
            settled = [
                c.image for c in visitor.crops.best if at(frame / FPS) - c.taken_at >= timedelta(seconds=0.64)
            ]
            told = [crop.image for crop in stage.foreseen[-1].crops] if stage.foreseen else []
            assert [id(image) for image in told] == [id(i) for i in settled if visitor.verdict.is_face]
            assert len(stage.foreseen) - before <= 1
        assert 0 < len(stage.foreseen) < 15

    def test_a_back_and_a_glimpse_have_none(self):
        stage = Stage({BACK: standing(), ANN: standing(60, until=0.3)}).play(0, 5).finish()
        assert stage.foreseen == []

    def test_are_withdrawn_where_it_turns_out_to_be_no_visitor(self):
        stage = Stage({ANN: standing()}).play(0, 3)
        assert stage.foreseen[-1].crops
        (visitor,) = stage.vision._visitors._visitors.values()
        visitor.place.is_poster = True
        stage.vision.finish()
        assert [m.crops for m in stage.vision.pass_time(at(4)).foreseen] == [()]
        assert stage.vision.pass_time(at(5)).foreseen == []

    def test_are_withdrawn_where_it_turns_out_to_be_a_visitor_who_was_lost(self):
        """The clothes are seen 3 s after the face."""

        def later(t: float) -> Place | None:
            return (180.0, 165.0 - max(0.0, 30 * (t - 6)), 24.0) if t >= 3.4 else None

        stage = Stage({ANN: standing(y=120, until=3), BEA: later}, "tracking.lost_after=6").play(0, 6)
        assert stage.foreseen[-1].track_id == 2 and stage.foreseen[-1].crops
        stage.play(6, 8).finish()
        assert [one.crops for one in stage.foreseen if one.track_id == 2][-1] == ()
        assert stage.fates() == {"visitor": 1}

    def test_who_turns_out_to_be_staff_is_looked_at_as_before(self):
        looks: dict[bool, list[datetime]] = {False: [], True: []}
        for staff, seen in looks.items():
            stage = Stage({ANN: standing()}, "attention.enabled=true").play(0, 3)
            (visitor,) = stage.vision._visitors._visitors.values()
            cast("Any", visitor).gaze = SimpleNamespace(see=lambda opinion, now, seen=seen: seen.append(now))
            visitor.stay.is_staff = staff
            stage.play(3, 9)
        assert looks[True] == looks[False] != []

    def test_nothing_is_left_of_who_was_counted(self):
        stage = Stage({ANN: standing(until=3)}).play(0, 6)
        told = len(stage.foreseen)
        assert len(stage.play(6, 8).foreseen) == told
        assert stage.foreseen[-1].crops


class TestCounting:
    def counting(self, *overrides: str) -> tuple[Counting, Metrics]:
        metrics = Metrics(ManualClock(), ["door"])
        options = settings("windows.length=60", *overrides)
        return build_counting(options, bundle(), PaintedAges(max_batch=4), metrics), metrics

    def feed(self, counting: Counting, messages: Iterable[Message]) -> list[WindowCounts]:
        return [window for message in messages for window in counting.handle(message, 0.0)]

    def test_goes_from_messages_to_windows(self):
        stage = Stage({ANN: standing(60, until=3), BEA: standing(250, until=4)}).play(0, 8)
        counting, metrics = self.counting()
        self.feed(counting, [Progress("door", at(0)), *stage.messages])
        assert counting.open_since("door") == at(0)
        closed = [*self.feed(counting, [StreamEnded("door", at(8))]), *counting.flush()]
        (window,) = closed
        zone = window.zones["all"]
        assert {label: n for label, n in zone.counts.items() if n} == {"18-24": 1, "45-54": 1}
        assert zone.unclassified == 0
        assert sample(metrics, "instore_windows_closed_total", {"camera": "door"}) == 1

    def test_takes_no_larger_batches_than_the_backend(self):
        counting, metrics = self.counting("model.max_batch=8")
        crops = Stage({ANN: standing(until=9)}, "crops.per_visitor=9").play(0, 12).crops
        assert len(crops) == 9
        self.feed(counting, crops)
        assert sample(metrics, "instore_batch_crops_count") == 2

    def test_applies_the_bundle_s_temperature(self):
        metrics = Metrics(ManualClock(), ["door"])
        stage = Stage({ANN: standing(until=3)}).play(0, 6)
        hot = build_counting(
            settings("model.max_spread=5"), bundle(temperature=9.0), PaintedAges(sigma=3), metrics
        )
        closed = [*self.feed(hot, [*stage.messages, StreamEnded("door", at(6))]), *hot.flush()]
        assert [w.zones["all"].unclassified for w in closed] == [1]  # sigma 3 x sqrt 9 is more than 5 years

    def test_counts_the_late(self):
        counting, metrics = self.counting("windows.lateness=3")
        self.feed(
            counting,
            [
                Progress("door", at(0)),
                Progress("door", at(63)),
                TrackEnded("door", 1, at(59), timedelta(seconds=1)),
            ],
        )
        assert sample(metrics, "instore_visits_late_total") == 1

    @pytest.mark.parametrize(("now", "batches"), [(0.01, 0), (0.02, 1)])
    def test_waits_for_company_as_long_as_configured(self, now: float, batches: int):
        counting, metrics = self.counting()
        self.feed(counting, Stage({ANN: standing(until=3)}).play(0, 6).crops[:1])
        assert counting.patience(now) == pytest.approx(0.02 - now)
        counting.poll(now)
        assert sample(metrics, "instore_batch_crops_count") == batches


def test_a_visitor_who_crosses_a_line_says_so_when_the_track_ends() -> None:
    """The picture is 320x180, and the line its middle: "in" is the lower half."""
    line = "cameras.door.lines=[{name='middle', from=[0.0, 0.5], to=[1.0, 0.5]}]"
    stage = Stage({ANN: lambda t: (160, 40 + 20 * t, 40) if t < 5 else None, BEA: standing(60)}, line)
    stage.play(0, 8)
    ended = [m for m in stage.messages if isinstance(m, TrackEnded)]
    assert [[(c.line, c.inward) for c in m.crossings] for m in ended] == [[("middle", True)]]


def test_staff_are_not_counted_and_cross_no_line() -> None:
    """Ann comes from behind the till, Bea stays there too long, Cid passes it."""
    left = "polygon=[[0,0],[0.5,0],[0.5,1],[0,1]]"
    till = f"cameras.door.zones=[{{name='till', role='staff', {left}, staff_after=4.0}}]"
    line = "cameras.door.lines=[{name='middle', from=[0.5, 0.0], to=[0.5, 1.0]}]"
    cid = Person(tag=5, age=30)

    def passing(t: float) -> Place | None:
        return (300 - 40 * t, 150, 40) if t < 7 else None

    def staying(t: float) -> Place | None:
        return (max(300 - 60 * t, 60), 40, 40) if t < 12 else None

    def from_behind(t: float) -> Place | None:
        return (40 + 40 * t, 90, 40) if t < 7 else None

    places: dict[Person, Where] = {
        ANN: lambda t: from_behind(t - 14) if t >= 14 else None,
        BEA: staying,
        cid: passing,
    }
    stage = Stage(places, till, line).play(0, 24)
    stage.messages += stage.vision.finish()
    ended = [m for m in stage.messages if isinstance(m, TrackEnded)]
    assert [[(c.line, c.inward) for c in m.crossings] for m in ended] == [[("middle", True)]]
    assert stage.metrics.tracks.labels("door", TrackEnd.STAFF)._value.get() == 2
