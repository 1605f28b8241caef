"""The memory of the first camera and of each further one, and its growth over many frames.

    .venv/bin/python -m bench.memory --frames 200000 [--json]

runs the stages of one box in one thread, as `replay` does, on a short recording again and again. Memory is
flat when it grows by less than 1 MB in 10,000 frames in the second half. Writes OUT.json and OUT.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.box import work
from bench.material import CLIPS, Material, picture_size, pictures
from bench.provenance import add_out, commit, keep, rounded
from bench.resident import resident_mb
from bench.tables import table
from edge.bundle import bundle_folder, load_bundle
from edge.clock import SystemClock
from edge.commands.bench.environment import environment
from edge.commands.bench.stage_times import one_opencv_thread
from edge.config import load_settings
from edge.counting.pipeline import build_counting
from edge.inference import open_backend
from edge.ops.memory import limit_arenas, trim
from edge.ops.metrics import Metrics
from edge.ops.terminal import progress_bars
from edge.types import Frame, Image, Progress
from edge.vision.pipeline import build_vision

FPS = 5.0
FEW, MANY = 1, 5
FIRST_MB, FURTHER_MB = 350.0, 40.0
FLAT = 1.0
"""MB of 10^6 bytes in 10,000 frames: a leak of one small crop a frame would be 50 times that."""

SAMPLES = 50
Report = dict[str, Any]


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """Memory of boxes of one camera and of five on each clip."""
    seconds = 5.0 if quick else 15.0
    cases = []
    scenes = (
        ("busy, 1080p", material.large, "mediapipe"),
        ("busy, 1080p, ONNX Runtime", material.large, "onnxruntime"),
        ("busy, 480 lines", material.small, "mediapipe"),
    )
    for name, clip, engine in scenes:
        step(f"memory: {name}")
        few, many = (work(clip, n, fps=FPS, seconds=seconds, engine=engine).rss_mb for n in (FEW, MANY))
        cases.append(
            {
                "case": name,
                "size": picture_size(clip),
                "first_mb": few,
                "further_mb": (many - few) / (MANY - FEW),
            }
        )
    return {"boxes": cases}


def soak(
    images: Sequence[Image], frames: int, on_frame: Callable[[float], None] = lambda done: None
) -> Report:
    """The stages of one camera on these pictures again and again; resident memory along the way.

    After every hundred pictures all visitors leave for three seconds, so that tracks, crops and windows begin
    and end. Returns the samples and the growth of the second half in MB in 10,000 frames (least squares).
    """
    limit_arenas()
    settings = load_settings(None, (), {"cameras": [{"name": "soak", "source": "soak.mp4"}]})
    bundle = load_bundle(bundle_folder("builtin", Path()))
    backend = open_backend("onnxruntime", bundle, max_batch=8, threads=1)
    metrics = Metrics(SystemClock(), ["soak"])
    vision = build_vision(settings.cameras[0], settings, bundle, metrics)
    counting = build_counting(settings, bundle, backend, metrics)
    at, windows, samples = datetime(1970, 1, 1, tzinfo=UTC), 0, []
    with one_opencv_thread():
        for number in range(frames):
            at += timedelta(seconds=3.0 if number % 100 == 0 else 1 / FPS)
            frame = Frame("soak", at, images[number % len(images)])
            for message in (*vision.process(frame).messages, Progress("soak", at, 1, {}, frame.state)):
                windows += len(counting.handle(message, at.timestamp()))
            if number % max(1, frames // SAMPLES) == 0:
                gc.collect()
                trim()
                samples.append((number, resident_mb()))
            on_frame(number)
    vision.close()
    backend.close()
    return {"frames": frames, "windows": windows, "growth_mb": growth(samples), "samples": samples}


def growth(samples: Sequence[tuple[int, float]]) -> float:
    """Slope of memory over the second half of the samples, MB in 10,000 frames."""
    late = np.array(samples[len(samples) // 2 :], float)
    return float(np.polyfit(late[:, 0], late[:, 1], 1)[0] * 10_000) if len(late) > 1 else 0.0


def section(found: Report) -> str:
    """The table of the boxes as Markdown."""
    rows = [
        (
            box["case"], box["size"], f"{box['first_mb']:.0f}", _verdict(box["first_mb"] < FIRST_MB),
            f"{box['further_mb']:.1f}", _verdict(box["further_mb"] < FURTHER_MB),
        )
        for box in found["boxes"]
    ]  # fmt: skip
    head = (
        "resident MB",
        "picture",
        "one camera",
        f"limit {FIRST_MB:.0f}",
        "each further",
        f"limit {FURTHER_MB:.0f}",
    )
    return table(head, rows) + "\n\nGrowth over many frames: `memory.md`, from `python -m bench.memory`."


def _verdict(good: bool) -> str:
    return "met" if good else "**missed**"


def soaked(soak: Report) -> str:
    """A soak in a sentence."""
    first, last = soak["samples"][len(soak["samples"]) // 2][1], soak["samples"][-1][1]
    return (
        f"A soak of {soak['frames']:,} frames ({soak['windows']} windows closed): {first:.0f} MB at half "
        f"time, {last:.0f} MB at the end; the second half grows by {soak['growth_mb']:+.2f} MB in 10,000 "
        f"frames (limit {FLAT:g}: {_verdict(soak['growth_mb'] < FLAT)})."
    )


def markdown(report: Report) -> str:
    """The report of a soak as Markdown."""
    samples = report["soak"]["samples"]
    marks = samples[:: max(1, len(samples) // 10)]
    return (
        f"# Memory over many frames\n\n`{report['command']}`, {report['taken_at'][:16]}Z, commit "
        f"{report['commit']}.\n\n{soaked(report['soak'])}\n\n"
        + table(("frames", "resident MB"), [(f"{number:,}", f"{mb:.1f}") for number, mb in marks])
        + "\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.memory", description="Measure the growth of memory over many frames."
    )
    parser.add_argument(
        "--frames", type=int, default=200_000, help="number of frames (default: 200000, half an hour)"
    )
    parser.add_argument("--clip", type=Path, default=CLIPS / "corridor-three.gif")
    parser.add_argument("--json", action="store_true", help="print all samples as JSON")
    add_out(parser, "memory")
    arguments = parser.parse_args(argv)
    if arguments.frames < 1:
        parser.error(f"--frames {arguments.frames}: too small; allowed: 1 or more")
    frames: int = arguments.frames
    with progress_bars("frames") as progress:
        found = soak(
            list(pictures(arguments.clip, FPS, 40)), frames, lambda n: progress("soak", n + 1, frames)
        )
    report = rounded(
        {
            "command": f"python -m bench.memory --frames {arguments.frames}",
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "environment": environment(),
            "soak": found,
        }
    )
    keep(report, markdown(report), arguments.out)
    print(json.dumps(found) if arguments.json else soaked(found))
    return 0 if found["growth_mb"] < FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
