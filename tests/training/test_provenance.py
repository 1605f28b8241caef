from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edge.bundle import PartTerms
from edge.errors import ConfigurationError
from tests.training import bundles
from training.provenance import SKETCH, TrainingData, sketch


def keys(first: int, last: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(first, last)]


def trained_on(*pictures: str) -> TrainingData:
    terms = (PartTerms(part="faces", licence="free", credit="by us", commercial_use="allowed"),)
    return TrainingData("faces", terms, 3, {"train": len(pictures)}, sketch(pictures))


def test_its_own_pictures_are_known_again_and_others_are_not():
    model = trained_on(*keys(0, 5000))
    assert model.shares(keys(0, 5000))
    assert not model.shares(keys(5000, 100_000))


def test_a_part_of_them_is_enough():
    model = trained_on(*keys(0, 5000))
    assert model.shares(keys(0, 500) + keys(9000, 9500))


def test_the_sketch_is_small_and_does_not_depend_on_the_order():
    assert len(sketch(keys(0, 5000))) == SKETCH
    assert sketch(keys(0, 100)) == sketch(reversed(keys(0, 100)))


def test_a_bundle_carries_it(tmp_path: Path):
    data = trained_on(*keys(0, 100))
    assert TrainingData.of(bundles.write(tmp_path / "trained", data=data.as_json())) == data
    assert TrainingData.of(bundles.write(tmp_path / "converted")) is None


def test_terms_of_an_earlier_version_are_read_without_a_verdict():
    before = {**trained_on(*keys(0, 9)).as_json(), "terms": "Free;\nfor all."}
    assert TrainingData.read(before).terms == (PartTerms(part="faces", licence="Free; for all"),)


def test_a_bundle_that_tells_something_else_of_its_data_is_named():
    with pytest.raises(ConfigurationError, match="data of a training run were written by another version"):
        TrainingData.read({"source": "ours"})
