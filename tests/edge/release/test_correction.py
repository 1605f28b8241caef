"""Corrected shares in `today`: made of what is released, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from edge.correct import FEWEST
from edge.release.correction import Correction
from tests.edge.correct.models import table
from tests.gates import BRACKETS, MIDNIGHT, MODEL, TOPICS, Box, rule, window

CORRECTION = Correction(MODEL, table(spread=6.0))
OFTEN = "privacy.release_every=900"


def today(box: Box, *, of_box: bool = False) -> dict[str, Any]:
    topic = TOPICS.box_today if of_box else TOPICS.today("door", "all")
    return json.loads(box.store.retained[topic])


def filled(*windows: Mapping[str, int], by: str = OFTEN, seed: int = 1, last: bool = False) -> Box:
    box = Box(rule(by), correction=CORRECTION, seed=seed)
    for number, counts in enumerate(windows):
        box.put(counts, last=last and number == len(windows) - 1)
    return box


def test_shares_stand_beside_the_counts_with_what_they_were_made_by() -> None:
    found = today(filled({"0-17": 20}, {"18-64": 30}, {"65+": 10}))["corrected"]
    assert list(found["shares"]) == list(BRACKETS)
    assert sum(one["share"] for one in found["shares"].values()) == pytest.approx(1, abs=0.002)
    assert all(one["low"] <= one["share"] <= one["high"] for one in found["shares"].values())
    assert found["calibration"] == {"name": "painted", "version": "1", "faces": int(table(6.0).sum())}
    assert (found["method"], found["level"], found["visits"]) == ("mode/2", 0.95, 60)
    assert found["reason"] is None


def test_worlds_that_differ_in_what_waits_have_the_same_shares() -> None:
    released: tuple[Mapping[str, int], ...] = ({"18-64": 20, "65+": 30}, {}, {"0-17": 0})
    waits: tuple[Mapping[str, int], ...] = ({"18-64": 20, "65+": 30}, {}, {"0-17": 4, "unclassified": 3})
    assert today(filled(*released)) == today(filled(*waits))


def test_the_same_day_has_the_same_shares_after_a_restart_and_in_another_run() -> None:
    one = filled({"18-64": 30, "65+": 30}, {}, {})
    again = filled({"18-64": 30, "65+": 30}, {})
    again.restart()
    again.put({})
    assert today(one) == today(again)


def test_too_few_visits_have_a_reason_and_no_shares() -> None:
    found = today(filled({"18-64": FEWEST - 1}, {}, {}))["corrected"]
    assert found["shares"] is None
    assert str(FEWEST) in found["reason"]


def test_a_bracket_that_was_never_released_has_a_share() -> None:
    found = today(filled({"18-64": 60, "65+": 4}, {}, {}))
    assert found["total"]["counts"]["65+"] is None
    assert found["corrected"]["shares"]["65+"]["share"] > 0


@pytest.mark.parametrize("by", [(OFTEN,), ("privacy.method=noise", "privacy.epsilon=40")])
def test_shares_may_have_other_brackets_than_the_counts(by: tuple[str, ...]) -> None:
    wider = json.dumps(["0-49", "50+"])
    box = Box(rule(*by, f"windows.share_brackets={wider}"), correction=CORRECTION)
    for _ in range(3):
        box.put({"0-17": 20, "18-64": 40, "65+": 20})
    found = today(box)
    assert list(found["total"]["counts"]) == list(BRACKETS)
    shares = found["corrected"]["shares"]
    assert list(shares) == ["0-49", "50+"]
    assert 0.4 < shares["0-49"]["share"] < 0.8


def test_the_box_corrects_the_sum_of_its_cameras() -> None:
    box = Box(rule(OFTEN, cameras=(("door", {}), ("till", {}))), correction=CORRECTION)
    for number in range(3):
        start = MIDNIGHT + number * timedelta(minutes=5)
        for camera in ("door", "till"):
            box.gate.put(window(start, {"18-64": 10}, camera=camera))
    assert today(box, of_box=True)["corrected"]["visits"] == 60
    assert today(box)["corrected"]["visits"] == 30


def test_shares_stay_until_something_more_is_released() -> None:
    box = filled({"18-64": 20, "65+": 30}, {}, {})
    before = today(box)["corrected"]
    box.put({"0-17": 3})
    box.put({"18-64": 2})
    assert today(box)["corrected"] == before


def test_noisy_counts_are_corrected_with_the_variance_of_their_noise() -> None:
    noisy = [{"18-64": 40, "65+": 40}] * 3
    found = [today(filled(*noisy, by="privacy.method=noise", seed=seed)) for seed in (1, 2)]
    assert found[0]["total"] != found[1]["total"]
    for message in found:
        assert message["corrected"]["visits"] == sum(message["total"]["counts"].values())
        assert message["corrected"]["shares"] is not None


def test_brackets_that_change_at_one_camera_before_the_other_give_a_reason() -> None:
    """The box sums both for a moment; the sets together are no brackets."""
    box = Box(rule(OFTEN, cameras=(("door", {}), ("till", {}))), correction=CORRECTION)
    for number in range(2):
        for camera in ("door", "till"):
            box.gate.put(window(MIDNIGHT + number * timedelta(minutes=5), {"18-64": 20}, camera=camera))
    others = ("0-29", "30+")
    box.gate.rule = rule(
        OFTEN, f'windows.brackets=["{others[0]}", "{others[1]}"]', cameras=(("door", {}), ("till", {}))
    )
    box.gate.put(window(MIDNIGHT + timedelta(minutes=10), {"0-29": 40}, camera="door", brackets=others))
    found = today(box, of_box=True)["corrected"]
    assert (found["shares"], found["reason"]) == (None, "the brackets have changed")


def test_a_day_that_began_with_noise_is_corrected_with_it() -> None:
    """Its noisy numbers, which may be below 0, stay in the day under the threshold."""
    for seed in range(6):
        box = Box(rule("privacy.method=noise", "privacy.epsilon=0.1"), correction=CORRECTION, seed=seed)
        box.put({"18-64": 60})
        box.gate.rule = rule(OFTEN)
        box.put({"18-64": 60})
        box.put({"18-64": 60})
        assert today(box)["corrected"]["visits"] >= 0


def test_a_gate_without_an_age_model_has_no_shares() -> None:
    box = Box(rule(OFTEN))
    for counts in ({"18-64": 60}, {}, {}):
        box.put(counts)
    assert today(box)["corrected"] is None


def test_a_recording_that_has_ended_is_corrected_with_its_groups() -> None:
    box = filled({"18-64": 40, "0-17": 3, "65+": 3}, {}, {}, last=True)
    assert today(box)["corrected"]["visits"] == 40


def test_the_noise_of_an_hour_replaces_that_of_its_windows() -> None:
    box = Box(rule("privacy.method=noise"), correction=CORRECTION)
    box.put_until(MIDNIGHT + timedelta(minutes=55))
    (before,) = {hour.variance for hour in day(box).hours[:1]}
    box.put()
    (after,) = {hour.variance for hour in day(box).hours[:1]}
    assert before == pytest.approx(11 * box_variance(0.25), rel=0.001)
    assert after == pytest.approx(box_variance(0.5), rel=0.001)


def day(box: Box) -> Any:
    return box.gate._cameras["door"].zones["all"].day


def box_variance(share: float) -> float:
    """Of discrete Laplace noise with this part of an epsilon of 1."""
    q = np.exp(-share)
    return 2 * q / (1 - q) ** 2
