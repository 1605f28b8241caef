"""Batches over cameras, order, fusion by quality, and nothing kept of whom was counted."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from edge.brackets import bracket_of, parse_brackets
from edge.counting.batching import Classifier
from edge.counting.foresight import SPARE
from edge.types import (
    AGES,
    CountingPlan,
    FaceCrop,
    Foreseen,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
    Visit,
)
from tests.fakes import EPOCH, PaintedAges

SIZE = 16
BRACKETS = parse_brackets(["0-29", "30-59", "60+"])


def classifier(backend: PaintedAges | None = None, **changes: Any) -> Classifier:
    backend = backend or PaintedAges(max_batch=4)
    options: dict[str, Any] = {"size": SIZE, "max_delay": 0.5, "max_spread": 18.0, **changes}
    infer, batch = options.pop("infer", backend.infer), options.pop("batch", 4)
    return Classifier(infer, batch=lambda: batch, **options)


def crop(age: int, track: int = 1, camera: str = "door", quality: float = 0.5, side: int = SIZE) -> FaceCrop:
    return FaceCrop(camera, track, np.full((side, side, 3), 2 * age, np.uint8), quality)


def gone(track: int = 1, camera: str = "door", seconds: float = 7) -> TrackEnded:
    return TrackEnded(camera, track, EPOCH + timedelta(seconds=seconds), timedelta(seconds=3))


def told(judge: Classifier, messages: Sequence[Message], now: float = 0.0) -> list[object]:
    outputs = [output for message in messages for output in judge.handle(message, now)]
    return [*outputs, *judge.flush()]


def about(age: float) -> Any:
    """Equal to every age within a hundredth of a year."""
    return pytest.approx(age, abs=0.01)


def brackets(outputs: Sequence[object]) -> list[str | None]:
    ages = [output.age for output in outputs if isinstance(output, Visit)]
    return [None if age is None else bracket_of(age, BRACKETS).label for age in ages]


def bell(mean: float, sigma: float) -> np.ndarray:
    values = np.exp(-(((np.arange(AGES) - mean) / sigma) ** 2) / 2)
    return values / values.sum()


class TestBatching:
    def test_takes_crops_of_all_cameras_together_as_soon_as_there_are_enough(self):
        backend = PaintedAges(max_batch=4)
        judge = classifier(backend)
        for number in range(3):
            assert judge.handle(crop(20, number, f"camera {number}"), 0) == []
        assert backend.batches == []
        judge.handle(crop(20, 3, "camera 3"), 0)
        assert backend.batches == [4]

    def test_follows_a_model_that_gains_from_larger_batches_than_the_one_before(self):
        backend, most = PaintedAges(max_batch=4), [2]
        judge = Classifier(backend.infer, size=SIZE, batch=lambda: most[0], max_delay=0.5, max_spread=18.0)
        told(judge, [crop(20, number) for number in range(4)])
        most[0] = 4
        told(judge, [crop(20, number) for number in range(4)])
        assert backend.batches == [2, 2, 4]

    def test_waits_no_longer_than_max_delay_since_the_first(self):
        judge = classifier()
        judge.handle(crop(20), 10.0)
        judge.handle(gone(), 10.4)
        assert judge.patience(10.4) == pytest.approx(0.1)
        assert judge.poll(10.49) == []
        assert brackets(judge.poll(10.5)) == ["0-29"]
        assert judge.patience(10.5) is None

    def test_is_checked_with_every_message(self):
        judge = classifier()
        judge.handle(crop(20), 0.0)
        judge.handle(gone(), 0.1)
        assert brackets(judge.handle(Progress("door", EPOCH), 0.6)) == ["0-29"]

    def test_has_no_patience_for_nothing(self):
        judge = classifier()
        assert judge.patience(0) is None
        assert judge.poll(99) == judge.flush() == []

    def test_a_second_batch_waits_anew(self):
        judge = classifier()
        told(judge, [crop(20)], now=0.0)
        judge.handle(crop(20), 5.0)
        assert judge.patience(5.0) == 0.5

    def test_resizes_crops_to_the_model_s_size(self):
        seen: list[tuple[int, ...]] = []

        def infer(batch: np.ndarray) -> np.ndarray:
            seen.append(batch.shape)
            return PaintedAges().infer(batch)

        assert brackets(told(classifier(infer=infer), [crop(40, side=50), crop(40, side=5), gone()])) == [
            "30-59"
        ]
        assert seen == [(2, SIZE, SIZE, 3)]


class TestOrder:
    def test_what_follows_a_crop_waits_for_it(self):
        judge = classifier()
        progress = Progress("door", EPOCH)
        messages: list[Message] = [
            crop(20),
            gone(),
            progress,
            crop(70, 2, "till"),
            gone(2, "till"),
        ]
        for message in messages:
            assert judge.handle(message, 0) == []
        assert judge.flush() == [
            Visit("door", EPOCH + timedelta(seconds=7), about(20)),
            progress,
            Visit("till", EPOCH + timedelta(seconds=7), about(70)),
        ]

    def test_what_follows_no_crop_passes_at_once(self):
        progress, end = Progress("door", EPOCH), StreamEnded("door", EPOCH)
        judge = classifier()
        assert judge.handle(progress, 0) == [progress]
        assert judge.handle(gone(), 0) == [Visit("door", EPOCH + timedelta(seconds=7), None)]
        assert judge.handle(end, 0) == [end]

    def test_all_pictures_count_however_they_fall_into_batches(self):
        crops = [crop(age) for age in (28, 28, 28, 28, 40)]  # the last one makes it 30
        assert brackets(told(classifier(), [*crops, gone()])) == ["30-59"]
        assert brackets(told(classifier(batch=1), [*crops, gone()])) == ["30-59"]


class TestFusion:
    def test_weighs_by_quality(self):
        poor, good = crop(20, quality=0.1), crop(40, quality=0.9)
        assert brackets(told(classifier(), [poor, good, gone()])) == ["30-59"]
        poor, good = crop(20, quality=0.9), crop(40, quality=0.1)
        assert brackets(told(classifier(), [poor, good, gone()])) == ["0-29"]

    def test_keeps_tracks_and_cameras_apart(self):
        messages: list[Message] = [
            crop(20, 1),
            crop(70, 2),
            crop(40, 1, "till"),
            gone(1),
            gone(2),
            gone(1, "till"),
        ]
        assert brackets(told(classifier(), messages)) == ["0-29", "60+", "30-59"]

    @pytest.mark.parametrize(("sigma", "bracket"), [(9.9, "30-59"), (10.1, None)])
    def test_too_wide_a_distribution_is_unclassified(self, sigma: float, bracket: str | None):
        judge = classifier(infer=lambda batch: bell(45, sigma)[None].astype(np.float32), max_spread=10.0)
        assert brackets(told(judge, [crop(1), gone()])) == [bracket]

    def test_estimates_that_contradict_each_other_are_unclassified(self):
        assert brackets(told(classifier(), [crop(10), crop(90), gone()])) == [None]

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_no_number_is_unclassified(self, value: float):
        judge = classifier(infer=lambda batch: np.full((len(batch), AGES), value, np.float32))
        with np.errstate(invalid="ignore"):
            assert brackets(told(judge, [crop(1), gone()])) == [None]

    def test_nobody_pictured_is_unclassified(self):
        assert brackets(told(classifier(), [gone()])) == [None]

    def test_pictures_of_no_quality_are_none(self):
        assert brackets(told(classifier(), [crop(20, quality=0.0), gone()])) == [None]


class TestMemory:
    def test_no_picture_outlives_its_batch(self):
        judge = classifier()
        picture = crop(20)
        alive = weakref.ref(picture.image)
        judge.handle(picture, 0)
        del picture
        assert alive() is not None
        judge.flush()
        gc.collect()
        assert alive() is None

    def test_the_age_goes_when_the_visitor_is_counted(self):
        judge = classifier()
        assert brackets(told(judge, [crop(20), gone(), gone()])) == ["0-29", None]

    def test_the_ages_of_a_camera_go_when_that_has_ended(self):
        judge = classifier()
        told(judge, [crop(20), crop(20, 1, "till"), StreamEnded("door", EPOCH)])
        assert brackets(told(judge, [gone(), gone(1, "till")])) == [None, "0-29"]


class TestForeseen:
    """Crops that are judged while nothing else waits."""

    def crops(self, count: int, track: int = 1, camera: str = "door") -> tuple[FaceCrop, ...]:
        return tuple(crop(20 + n, track, camera, quality=1 - n / 10) for n in range(count))

    def judged(self, judge: Classifier, crops: tuple[FaceCrop, ...], track: int = 1) -> int:
        """Foresee these and let the model judge ahead; in how many batches."""
        assert judge.handle(Foreseen("door", track, crops), 0.0) == []
        batches = 0
        while judge.may_judge_ahead:
            judge.judge_ahead()
            batches += 1
        return batches

    def test_gives_the_very_same_age_from_the_same_crops(self):
        rng = np.random.default_rng(0)
        answers: dict[bytes, np.ndarray] = {}

        def infer(batch: np.ndarray) -> np.ndarray:
            for one in batch:
                answers.setdefault(one.tobytes(), rng.dirichlet(np.ones(AGES)).astype(np.float32))
            return np.stack([answers[one.tobytes()] for one in batch])

        crops = tuple(
            FaceCrop("door", 1, rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8), rng.random())
            for _ in range(7)
        )
        plain = told(classifier(infer=infer, max_spread=99.0), [*crops, gone()])
        ahead = classifier(infer=infer, max_spread=99.0)
        assert self.judged(ahead, crops)
        assert told(ahead, [*crops, gone()]) == plain
        assert isinstance(plain[0], Visit)
        assert plain[0].age is not None

    def test_is_judged_a_batch_at_a_time_but_for_a_few(self):
        backend = PaintedAges(max_batch=2)
        judge = classifier(backend, batch=2)
        crops = self.crops(SPARE + 5)
        assert self.judged(judge, crops) == 3
        assert backend.batches == [2, 2, 1]
        told(judge, [*crops, gone()])
        assert sum(backend.batches[3:]) == SPARE

    def test_few_crops_are_left_until_the_end(self):
        judge = classifier()
        assert self.judged(judge, self.crops(SPARE)) == 0

    def test_waits_for_nothing_once_it_is_judged(self):
        judge = classifier()
        crops = self.crops(SPARE + 4)
        self.judged(judge, crops)
        assert [judge.handle(message, 0.0) for message in crops[:4]] == [[]] * 4
        assert brackets(judge.handle(gone(), 0.0)) == ["0-29"]
        assert judge.patience(0.0) is None

    def test_what_is_judged_keeps_its_place_behind_what_is_not(self):
        judge = classifier()
        crops = self.crops(SPARE + 4)
        self.judged(judge, crops)
        other = crop(70, 2)
        assert [judge.handle(m, 0.0) for m in (other, crops[0], gone(2), gone())] == [[]] * 4
        assert brackets(judge.flush()) == ["60+", "0-29"]

    def test_is_not_judged_while_others_wait(self):
        judge = classifier()
        judge.handle(crop(20, 2), 0.0)
        judge.handle(Foreseen("door", 1, self.crops(SPARE + 4)), 0.1)
        assert not judge.may_judge_ahead
        judge.flush()
        assert judge.may_judge_ahead

    def test_goes_on_with_what_waits_as_any_message(self):
        judge = classifier()
        told_so_far = [*judge.handle(crop(20), 0.0), *judge.handle(gone(), 0.0)]
        assert told_so_far == []
        assert brackets(judge.handle(Foreseen("door", 2, ()), 0.6)) == ["0-29"]

    @pytest.mark.parametrize(
        "end",
        [gone(), StreamEnded("door", EPOCH), CountingPlan({}, (), 8.0), Foreseen("door", 1, ())],
        ids=["counted", "camera ended", "another plan", "no visitor"],
    )
    def test_no_picture_outlives_its_track(self, end: Message):
        judge = classifier()
        crops = self.crops(SPARE + 6)
        self.judged(judge, crops)
        alive = [weakref.ref(one.image) for one in crops]
        del crops
        judge.handle(end, 0.0)
        gc.collect()
        assert {picture() is None for picture in alive} == {True}
        assert not judge.may_judge_ahead

    def test_a_picture_that_a_better_one_replaces_goes(self):
        judge = classifier()
        crops = self.crops(SPARE + 6)
        self.judged(judge, crops)
        alive = weakref.ref(crops[-1].image)
        judge.handle(Foreseen("door", 1, crops[:-1]), 0.0)
        del crops
        gc.collect()
        assert alive() is None

    def test_a_camera_that_ends_takes_nothing_from_another(self):
        backend = PaintedAges(max_batch=4)
        judge = classifier(backend)
        mine = self.crops(SPARE + 4)
        judge.handle(Foreseen("till", 1, self.crops(2, camera="till")), 0.0)
        self.judged(judge, mine)
        before = len(backend.batches)
        judge.handle(StreamEnded("till", EPOCH), 0.0)
        told(judge, mine[:2])
        assert len(backend.batches) == before
