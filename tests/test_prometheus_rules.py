"""The rules for Prometheus name series that a daemon has; promtool tests what they do (`make prometheus`)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from edge.ops.metrics import Metrics
from tests.fakes import ManualClock

FOLDER = Path(__file__).parents[1] / "deploy" / "prometheus"
RULES = (FOLDER / "instore.rules.yml").read_text(encoding="utf-8")


def test_every_series_exists() -> None:
    _, exposition = Metrics(ManualClock(), ["door"]).exposition("")
    series = set(re.findall(r"^(\w+)", exposition.decode(), re.MULTILINE))
    named = set(re.findall(r"\b(?<!:)instore_\w+", RULES))
    assert len(named) > 8
    assert named <= series


def test_every_alert_is_tested() -> None:
    tests = (FOLDER / "instore.tests.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"alert: (\w+)", RULES)) == set(re.findall(r"alertname: (\w+)", tests))


def test_promtool_accepts_them() -> None:
    assert shutil.which("promtool"), "promtool is missing: run `make system-packages`"
    done = subprocess.run(
        ["promtool", "test", "rules", "instore.tests.yml"],
        cwd=FOLDER,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
