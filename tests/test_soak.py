"""The soak of the bench, for a quarter of an hour of shop time: the suite's minute of it."""

from __future__ import annotations

import json

import pytest

from bench import soak
from edge.release.rows import Row


def test_a_quarter_of_an_hour_of_faults_breaks_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--hours", "0.25", "--seed", "7", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["delivered"] + report["lost_by_kills"] + report["refused"] == report["visitors"] > 100
    assert report["faults"]["kill"] >= 1
    assert sum(report["faults"].values()) > 10
    assert report["lost_by_kills"] < 0.1 * report["visitors"]


def test_the_same_seed_gives_the_same_run() -> None:
    def told(seed: int) -> dict[str, object]:
        report = soak.soak(0.02, seed)
        return {k: v for k, v in report.items() if k not in ("times_real_speed", "resident_growth_mb")}

    assert told(5) == told(5)
    assert told(5) != told(6)


def test_a_broken_promise_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon that gives one sequence twice."""

    encode = Row.encode
    monkeypatch.setattr(Row, "encode", lambda row, sequence: encode(row, max(2, sequence)))
    assert soak.main(["--hours", "0.06", "--seed", "5"]) == 1
    assert "a gap, or out of order" in capsys.readouterr().err
