"""The number of cameras that one box keeps up with, at five frames a second each.

A box keeps up when it drops at most one frame in 200 and decides on 95 % of its frames within 200 ms of their
capture. Trials find the number: the first tries the goal, each further one the number that the processor time
of the last trial predicts, until the next step would fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.box import work
from bench.material import Material, picture_size
from bench.tables import table
from edge.commands.bench.box import Work
from edge.commands.bench.density import DROPS, FPS, IN_TIME_MS, TRIALS, keeps_up, most_cameras

Report = dict[str, Any]


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> list[Report]:
    """The trials of each scene, from memory and decoded. `quick` tries only the goal, or four cameras."""
    found = []
    for name, clip, memory, engine, goal in cases(material):
        step(f"cameras: {name}")

        def trial(cameras: int, clip: Path = clip, memory: bool = memory, engine: str = engine) -> Work:
            seconds = 5.0 if quick else 8.0
            return work(clip, cameras, fps=FPS, seconds=seconds, memory=memory, engine=engine)

        trials = most_cameras(trial, goal or 4, trials=1 if quick else TRIALS)
        found.append(
            {
                "case": name,
                "size": picture_size(clip),
                "goal": goal,
                "cameras": max((t.cameras for t in trials if keeps_up(t)), default=0),
                "bounded": any(not keeps_up(t) for t in trials),
                "trials": [asdict(t) for t in trials],
            }
        )
    return found


def cases(material: Material) -> list[tuple[str, Path, bool, str, int | None]]:
    """Name, clip, whether from memory, library of the face networks, and the goal on two cores."""
    default, faster = "mediapipe", "onnxruntime"
    return [
        ("busy, 480 lines, from memory", material.small, True, default, None),
        ("busy, 480 lines, decoded", material.small, False, default, 8),
        ("busy, 480 lines, decoded, ONNX Runtime", material.small, False, faster, 16),
        ("busy, 1080p, from memory", material.large, True, default, None),
        ("busy, 1080p, decoded", material.large, False, default, None),
        ("busy, 1080p, decoded, ONNX Runtime", material.large, False, faster, 4),
        ("idle, 480 lines, decoded", material.idle_small, False, default, None),
        ("idle, 1080p, from memory", material.idle_large, True, default, 16),
        ("idle, 1080p, decoded", material.idle_large, False, default, None),
    ]


def section(found: list[Report]) -> str:
    """Cameras kept up with, and the trial that shows it."""
    rows = [_row(case) for case in found]
    head = ("", "picture", "cameras", "goal", "", "cores", "p95 ms", "dropped", "CPU-ms a frame")
    return table(head, rows) + (
        f"\n\nAt {FPS:g} frames a second each, until more than one frame in {1 / DROPS:g} is dropped or the "
        f"95th percentile from capture to decision exceeds {IN_TIME_MS:g} ms. `>=`: more were not tried. The "
        "busy scene repeats every few seconds, with as many visitors as at a station. Each camera begins "
        "its recording at another place, spread evenly over it: no two real cameras show the same at one "
        "moment. Where all begin together, everybody leaves all views within a moment, and where the "
        "recording begins again, all cameras search the whole picture at once, as at a change of place: "
        "fewer keep up then. Whether frames are due at once or in turns is left to chance, as with real "
        "cameras. The figures on the right belong to the largest number that kept up, or to the smallest "
        "that did not."
    )


def _row(case: Report) -> tuple[str, ...]:
    trials = [Work(**trial) for trial in case["trials"]]
    good = [t for t in trials if keeps_up(t)]
    shown = max(good, key=lambda t: t.cameras) if good else min(trials, key=lambda t: t.cameras)
    goal = case["goal"]
    verdict = "" if goal is None else "met" if case["cameras"] >= goal else "**missed**"
    number = str(case["cameras"]) if case["bounded"] else f">= {case['cameras']}"
    return (
        case["case"], case["size"], number, str(goal or ""), verdict, f"{shown.cores:.2f}",
        f"{shown.decision_p95_ms:.0f}", f"{shown.dropped / max(shown.analysed + shown.dropped, 1):.1%}",
        f"{shown.cpu_ms_per_frame:.1f}",
    )  # fmt: skip
