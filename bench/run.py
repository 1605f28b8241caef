"""`make bench`: the speed, number of cameras, start-up time and memory of a box.

    .venv/bin/python -m bench.run [--only floor,cameras] [--clips DIR] [--quick] [--out bench/results/bench]

The parts are measured one after the other; with --only the other parts keep their earlier results. OUT.json
and OUT.md are written after each part; they hold times, sizes and counts. Machines differ and are shared:
compare ratios first, as both sides of each were taken in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench import batching, cameras, floor, growth, memory, places, truth
from bench.daemon import mosquitto, start_ups, work_of_daemons
from bench.material import CLIPS, Material, gather
from bench.provenance import add_out, commit, keep, rounded
from bench.report import markdown
from bench.stages import decoding_alone, stage_tables
from edge.commands.bench.environment import environment

Report = dict[str, Any]
console = Console(stderr=True, highlight=False)


def measure_start(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """The starts of the daemon and their medians."""
    with mosquitto() as broker:
        starts = start_ups(material, 1 if quick else 9, broker, step)
    return {"median": {name: median(start[name] for start in starts) for name in starts[0]}, "starts": starts}


def measure_daemon(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """The daemon with one camera in real time, and decoding alone."""
    alone = decoding_alone(material.large, 1 if quick else 3)
    with mosquitto() as broker:
        found = work_of_daemons(material, 8.0 if quick else 20.0, broker, step)
    return {"broker": "mosquitto" if broker else "none", "decoding_alone_cores": alone, "cases": found}


def measure_stages(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """The stages on every clip."""
    return {"clips": stage_tables(material, 1 if quick else 3, step)}


SECTIONS: dict[str, Callable[..., Any]] = {
    "start": measure_start,
    "floor": floor.measure,
    "cameras": cameras.measure,
    "memory": memory.measure,
    "growth": growth.measure,
    "places": places.measure,
    "batching": batching.measure,
    "daemon": measure_daemon,
    "stages": measure_stages,
    "truth": truth.measure,
}
"""The parts in the order of the report."""


def measure(name: str, material: Material, quick: bool) -> Report:
    """Measure one part; its result with command, time, commit and load."""
    load = os.getloadavg()[0]
    found = SECTIONS[name](material, quick=quick, step=step)
    report: Report = rounded(
        {
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": f"python -m bench.run --only {name}"
            + (" --quick" if quick else "")
            + (f" --starts {material.starts}" if name == "truth" and material.starts > 1 else ""),
            "material": "the demo's composed scene" if material.composed else "recordings",
            "commit": commit(),
            "load": [load, os.getloadavg()[0]],
            "found": found,
        }
    )
    return report


def step(text: str) -> None:
    """Print the current step with the time."""
    console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {text}")


def kept(out: Path) -> dict[str, Report]:
    """The parts measured before; none where the report is missing or has another layout."""
    try:
        sections = json.loads(out.with_suffix(".json").read_text(encoding="utf-8")).get("sections", {})
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {name: sections[name] for name in SECTIONS if name in sections}


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: unknown; allowed: {', '.join(SECTIONS)}")
    return names


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run",
        description=__doc__.splitlines()[0],
        epilog="example: python -m bench.run --only floor,cameras --quick",
    )
    parser.add_argument(
        "--only", type=_names, default=list(SECTIONS), metavar="PARTS", help=", ".join(SECTIONS)
    )
    parser.add_argument(
        "--clips", type=Path, default=CLIPS, help="folder with crowd.mp4 and corridor-three.gif"
    )
    parser.add_argument("--quick", action="store_true", help="measure each part once, for a few seconds")
    parser.add_argument(
        "--starts",
        type=int,
        default=1,
        metavar="N",
        help="count the recordings of truth from each of their first N frames on, for the mean error",
    )
    add_out(parser, "bench")
    arguments = parser.parse_args(argv)
    if not Path("/proc/self/smaps_rollup").exists():
        parser.error("/proc/self/smaps_rollup: missing; the measurement of memory needs Linux")
    sections = kept(arguments.out)
    try:
        with tempfile.TemporaryDirectory(prefix="instore-bench-") as folder:
            step("preparing the clips")
            material = replace(gather(arguments.clips, Path(folder)), starts=arguments.starts)
            for name in arguments.only:
                sections[name] = measure(name, material, arguments.quick)
                ordered = {name: sections[name] for name in SECTIONS if name in sections}
                report = {"environment": environment(), "sections": ordered}
                keep(report, markdown(report), arguments.out)
    except KeyboardInterrupt:
        step("stopped; the finished parts are written")
        return 130
    print(arguments.out.with_suffix(".md").read_text(encoding="utf-8"))
    step(f"wrote {arguments.out}.json and .md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
