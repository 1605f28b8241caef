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
from edge.types import AGES, FaceCrop, Message, Progress, StreamEnded, TrackEnded, Visit
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
