from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.brackets import parse_brackets
from edge.errors import ConfigurationError
from tests.training import bundles
from tests.training.evaluation.people import prepared
from training.evaluation import report
from training.evaluation.evaluate import Evaluation, Options, evaluate
from training.evaluation.part import Part, part_of

AGES = [*range(4, 84, 2)] * 3


def part(ages=AGES, noise: float = 4.0, high=None, **traits) -> Part:
    made = prepared(ages, high, **traits)
    return part_of(replace(made, crops=bundles.crops(ages, noise)), 1.04, "all")


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory) -> Evaluation:
    bundle = bundles.write(tmp_path_factory.mktemp("models") / "bundle")
    genders = np.where(np.arange(len(AGES)) % 2, "male", "female")
    origins = np.array(["here", "there", ""])[np.arange(len(AGES)) % 3]
    return evaluate(bundle, part(gender=genders, ethnicity=origins, name=[f"n{i}" for i in range(len(AGES))]))


def test_the_figures_are_those_of_the_model(evaluation: Evaluation):
    figures = evaluation.figures
    assert figures["n"] == len(AGES)
    assert figures["mae"] == pytest.approx(4 * np.sqrt(2 / np.pi), abs=0.6)
    assert figures["intervals"]["mae"][0] < figures["mae"] < figures["intervals"]["mae"][1]
    assert 0 <= figures["ece"] <= 1
    assert 0 < figures["histogram_tv"] < 1
    assert figures["milliseconds_per_face"] > 0


def test_a_model_that_is_off_is_off_by_that(tmp_path: Path):
    older = evaluate(bundles.write(tmp_path / "bundle", off=7), part(noise=0), Options(face_sizes=()))
    assert older.figures["bias"] == pytest.approx(7, abs=0.01)
    assert older.figures["median_ae"] == pytest.approx(7, abs=0.01)


def test_a_wrong_temperature_shows(tmp_path: Path):
    bundle = bundles.write(tmp_path / "bundle")
    usual, hot = (
        evaluate(b, part(), Options(face_sizes=())) for b in (bundle, replace(bundle, temperature=9))
    )
    assert hot.figures["nll"] != usual.figures["nll"]


def test_every_size_is_measured(evaluation: Evaluation):
    sizes = evaluation.figures["by_face_size"]
    assert list(sizes) == ["full", "64", "48", "32", "24"]
    assert sizes["full"]["mae"] == evaluation.figures["mae"]
    assert sizes["24"]["mae"] == pytest.approx(sizes["full"]["mae"], abs=0.1)  # brightness knows no distance


def test_smaller_faces_reach_the_model_smaller(tmp_path: Path, monkeypatch):
    seen = []

    def shrink(crop, face, scale):
        seen.append((face, scale))
        return crop

    monkeypatch.setattr("training.evaluation.evaluate.shrink", shrink)
    evaluate(bundles.write(tmp_path / "bundle"), part([30, 40]), Options(face_sizes=(32,)))
    assert seen == [(32, 1.04)] * 2


def test_traits_are_reported_by_value_and_in_pairs(evaluation: Evaluation):
    traits = evaluation.figures["by_trait"]
    assert set(traits) == {"gender", "ethnicity", "gender / ethnicity"}  # a name is no group
    assert {v: own["n"] for v, own in traits["gender"].items()} == {"female": 60, "male": 60}
    assert set(traits["ethnicity"]) == {"here", "there"}  # those of unknown origin are left out
    assert traits["gender / ethnicity"]["female / here"]["n"] == 20
    low, high = traits["gender"]["male"]["intervals"]["mae"]
    assert low < traits["gender"]["male"]["mae"] < high


def test_groups_are_judged_in_the_groups_of_the_data(tmp_path: Path):
    low = [20, 30, 40, 50] * 5
    found = evaluate(
        bundles.write(tmp_path / "bundle"), part([x + 4 for x in low], 0, None), Options(face_sizes=())
    )
    assert found.figures["confusion"]["brackets"][0] == "0-12"
    grouped = prepared(low, [x + 9 for x in low])
    grouped = replace(grouped, crops=bundles.crops([x + 4 for x in low]))
    found = evaluate(bundles.write(tmp_path / "b2"), part_of(grouped, 1.04, "all"), Options(face_sizes=()))
    assert found.figures["confusion"]["brackets"] == ["0-19", "20-29", "30-39", "40-49", "50-59", "60+"]
    assert found.figures["mae"] == 0
    assert found.figures["accuracy"] == 1


def test_brackets_may_be_chosen(tmp_path: Path):
    options = Options(parse_brackets(["0-17", "18+"]), face_sizes=())
    found = evaluate(bundles.write(tmp_path / "bundle"), part(), options)
    assert list(found.figures["by_bracket"]) == ["0-17", "18+"]


def test_the_json_has_what_programs_rely_on(evaluation: Evaluation):
    figures = json.loads(json.dumps(report.as_json(evaluation), allow_nan=False))
    assert {"n", "mae", "median_ae", "cs5", "accuracy", "within_one", "ece", "histogram_tv"} <= figures.keys()
    assert figures["data"] == {"source": "made up", "terms": "free", "split": "all", "trained_on": False}
    assert figures["bundle"]["name"] == "brightness"


def test_the_page_holds_everything_and_needs_nothing(evaluation: Evaluation):
    page = report.render(evaluation)
    assert page.count("data:image/svg+xml") == 8
    assert "http" not in page.replace("http://www.w3.org", "")
    for words in ("brightness 1 on made up", "By bracket", "By face size", "By gender and ethnicity", "ECE"):
        assert words in page


def test_a_page_says_when_the_model_knows_the_pictures(evaluation: Evaluation):
    known = replace(evaluation, part=replace(evaluation.part, trained_on=True))
    assert "figures are too good" in report.render(known)
    assert "figures are too good" not in report.render(evaluation)


def test_a_page_without_traits_and_of_two_faces_is_a_page(tmp_path: Path):
    found = evaluate(bundles.write(tmp_path / "bundle"), part([30, 80]))
    assert found.figures["by_trait"] == {}
    assert "By bracket" in report.render(found)


def test_a_part_without_faces_is_named():
    made = prepared([30] * 5)  # all of them for training
    with pytest.raises(ConfigurationError, match="made up: of its 5 faces none is in 'test'"):
        part_of(made, 1.04, "test")
