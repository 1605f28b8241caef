"""The terms that a bundle inherits from what its run was made from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.bundle import BUILTIN, PartTerms, load_bundle
from edge.errors import ConfigurationError
from tests.training import bundles
from training import terms
from training.export import Plan, _stated, terms_of
from training.provenance import TrainingData

OURS = PartTerms(part="faces (labels.csv)", licence="our own", commercial_use="allowed")
THEIRS = PartTerms(part="faces (labels.csv)", licence="not for shops", commercial_use="forbidden")


def data(*parts: PartTerms, sketch: str = "00") -> TrainingData:
    return TrainingData("faces (labels.csv)", parts, 0, {}, (sketch,))


def inherited(**info: Any) -> list[PartTerms]:
    run: Any = SimpleNamespace(info=info)
    return list(terms_of(run, data(OURS)))


def test_random_weights_add_nothing():
    assert inherited(start={"random": {"width": 1}}) == [OURS]


def test_the_published_weights_add_theirs_and_others_are_unknown():
    files = {sha256: sha256 for sha256 in terms.PUBLISHED}
    assert inherited(start={"backbone": files}) == [OURS, terms.BACKBONE]
    (_, other) = inherited(start={"backbone": {"ours.json": "00"}})
    assert (other.part, other.commercial_use) == ("backbone (ours.json)", "unknown")


def test_an_earlier_run_on_other_pictures_under_the_same_name_adds_theirs():
    before = {"data": data(THEIRS, sketch="ff").as_json(), "start": {"random": {}}}
    assert inherited(start={"run": before}) == [OURS, THEIRS]


def test_an_earlier_run_on_the_same_pictures_adds_nothing():
    before = {"data": data(THEIRS).as_json(), "start": {"random": {}}}
    assert inherited(start={"run": before}) == [OURS]


def test_bundles_and_teachers_add_all_their_parts():
    shipped = load_bundle(BUILTIN)
    own = {"terms": terms.dumped(terms.of_bundle(shipped))}
    wanted = [OURS, *shipped.terms.parts]
    assert inherited(start={"bundle": own}) == wanted
    assert inherited(start={"random": {}}, teacher=own) == wanted
    assert inherited(start={"parts": [{"start": {"bundle": own}}, {"start": {"random": {}}}]}) == wanted


def test_what_earlier_versions_recorded_of_bundles_and_opinions_is_unknown():
    bundle = {"name": "old", "version": "1", "licence": "free"}
    asked = {"opinions": "a network", "licence": "MIT"}
    found = inherited(start={"bundle": bundle}, teacher=asked)
    assert [(own.part, own.licence, own.commercial_use) for own in found[1:]] == [
        ("old 1", "free", "unknown"),
        ("a network", "MIT", "unknown"),
    ]


def test_a_bundle_that_lists_no_parts_is_one_of_unknown_use(tmp_path: Path):
    assert terms.of_bundle(bundles.write(tmp_path / "old")) == (
        PartTerms(part="brightness 1", licence="none"),
    )


def test_terms_given_to_export_replace_those_of_the_data():
    plan = Plan(Path("run"), Path("out"), terms="our\nown.", credit="by us", commercial_use="allowed")
    assert _stated(plan, data(THEIRS)) == (
        PartTerms(part="faces (labels.csv)", licence="our own", credit="by us", commercial_use="allowed"),
    )
    assert _stated(Plan(Path("run"), Path("out")), data(THEIRS)) == (THEIRS,)


def test_a_verdict_without_terms_is_refused():
    with pytest.raises(ConfigurationError, match="give --terms too"):
        _stated(Plan(Path("run"), Path("out"), commercial_use="allowed"), data(THEIRS))
