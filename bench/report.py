"""The benchmark's report as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench import batching, cameras, floor, growth, memory, places, truth
from bench.tables import table

Report = dict[str, Any]


def markdown(report: Report) -> str:
    """The whole report as Markdown."""
    parts = ["# Speed and memory", introduction(report)]
    if rows := expectations(report):
        parts += ["## Goals", table(("", "measured", "limit", ""), rows)]
    for name, part in report["sections"].items():
        title, render = TITLES[name]
        parts += [f"## {title}", render(part["found"]), made(part)]
    return "\n\n".join([*parts, "## Machine and versions", where(report)]) + "\n"


def introduction(report: Report) -> str:
    """The introduction: how to read the figures."""
    loads = [load for part in report["sections"].values() for load in part["load"]]
    return (
        "Written by `make bench`; the line below each part gives its command and time. The machine may have "
        f"had other work (load {min(loads):.1f} to {max(loads):.1f} before and after the parts): the ratios, "
        "taken in one run, and the processor times are more reliable than wall times. MB are 10^6 bytes."
    )


def made(part: Report) -> str:
    """The command, the time and the load of a part."""
    before, after = part["load"]
    return (
        f"*`{part['command']}`, {part['taken_at'][:16]}Z, on {part['material']}, commit {part['commit']}, "
        f"load {before:.1f} before and {after:.1f} after.*"
    )


def expectations(report: Report) -> list[Sequence[str]]:
    """Rows of name, figure, limit and verdict, for the parts that were measured."""
    found = {name: part["found"] for name, part in report["sections"].items()}
    rows: list[tuple[str, float, float, str]] = []
    if "start" in found:
        rows.append(("first analysed frame, at most", found["start"]["median"]["frame_s"], 0.8, "s"))
    if "memory" in found:
        boxes = found["memory"]["boxes"]
        rows.append(("one camera, at most", max(box["first_mb"] for box in boxes), memory.FIRST_MB, "MB"))
        further = max(box["further_mb"] for box in boxes)
        rows.append(("each further camera, at most", further, memory.FURTHER_MB, "MB"))
    if "daemon" in found:
        whole = found["daemon"]["cases"][0]
        rows.append((f"cores, {whole['size']} at 10 frames a second, whole picture", whole["cores"], 1, ""))
    table_rows: list[Sequence[str]] = [
        (name, f"{value:.2f} {unit}".strip(), f"{limit:g} {unit}".strip(), _verdict(value < limit))
        for name, value, limit, unit in rows
    ]
    if "floor" in found:
        for case in found["floor"]["efficiency"]:
            good = case["efficiency"] >= 0.9
            table_rows.append(
                (f"efficiency, {case['case']}", f"{case['efficiency']:.2f}", "0.9", _verdict(good))
            )
    for case in found.get("cameras", []):
        if case["goal"]:
            good = case["cameras"] >= case["goal"]
            table_rows.append(
                (f"cameras, {case['case']}", str(case["cameras"]), str(case["goal"]), _verdict(good))
            )
    return table_rows


def _verdict(good: bool) -> str:
    return "met" if good else "**missed**"


def start(found: Report) -> str:
    """Milestones of the median start."""
    times = found["median"]
    rows = (
        ("age model open", times["age_model_s"], "Python, imports; beside it the face models"),
        ("ready", times["ready_s"], "state, threads"),
        ("first frame analysed", times["frame_s"], "decoding, a search of every tile"),
    )
    starts = ", ".join(f"{one['frame_s']:.2f}" for one in found["starts"])
    return (
        table(("seconds from the process's start", "", "after"), [(n, f"{s:.2f}", w) for n, s, w in rows])
        + f"\n\nMedians; time of the first frame in each start: {starts} s. The modules "
        "are compiled before, as by the package."
    )


def daemons(found: Report) -> str:
    """Processor time, frames and memory of each case, and of decoding alone."""
    head = (
        "",
        "picture",
        "cores",
        "x decoding",
        "frames/s",
        "dropped/s",
        "RSS MB",
        "PSS",
        "USS",
        "peak",
        "threads",
    )
    alone = found["decoding_alone_cores"]
    first = found["cases"][0]["size"]
    rows = [("decoding alone", first, f"{alone:.2f}", "1.0", *[""] * 7)]
    for daemon in found["cases"]:
        sizes = (f"{daemon[key]:.0f}" for key in ("rss_mb", "pss_mb", "uss_mb", "peak_rss_mb", "threads"))
        ratio = f"{daemon['cores'] / alone:.1f}" if daemon["size"] == first else ""
        rates = (f"{daemon['analysed_fps']:.1f}", f"{daemon['dropped_fps']:.1f}")
        rows.append((daemon["case"], daemon["size"], f"{daemon['cores']:.2f}", ratio, *rates, *sizes))
    return table(head, rows) + (
        "\n\nOne camera, a recording looped in real time, 10 frames analysed a second at most. Cores: "
        "seconds of processor time per second. USS: memory that no other process shares; peak: the largest "
        "resident memory. The small picture is the large one, shrunk and encoded as MPEG-4."
    )


def stages(found: Report) -> str:
    """A table for each clip."""
    return "\n\n".join(stage_table(clip) for clip in found["clips"]) + (
        "\n\nOne thread, no frame lost (`instore-edge bench`). p50 and p95 are of single frames; the mean "
        "includes the work after the last frame. Decoding includes the frames that max_fps skips, crops "
        "includes the second opinion."
    )


def stage_table(clip: Report) -> str:
    """A clip, its results and its stages."""
    way = "tiles on large pictures" if clip["tiles"] else "whole picture"
    spread = ", ".join(f"{fps:.1f}" for fps in clip["fps_of_runs"])
    head = (
        f"**{clip['clip']}**, {clip['width']}x{clip['height']}, {way}: **{clip['fps']:.1f} frames a second** "
        f"(runs: {spread}), {clip['cpu_ms_per_frame']:.1f} ms of processor time a frame; "
        f"{clip['frames']} frames, {clip['faces']} faces, {clip['visitors']} visitors."
    )
    rows = [
        (name, *(f"{stage[key]:.2f}" for key in ("mean_ms", "p50_ms", "p95_ms")), f"{stage['share']:.0%}")
        for name, stage in clip["stages"].items()
    ]
    rows.append(("all", f"{1000 / clip['fps']:.2f}", "", "", "100%"))
    return head + "\n\n" + table(("ms a frame", "mean", "p50", "p95", "share"), rows)


def where(report: Report) -> str:
    """The machine and the versions."""
    return table(
        ("", ""), [(name, str(value)) for name, value in report["environment"].items() if value != ""]
    )


TITLES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "start": ("Start", start),
    "floor": ("Floor and efficiency", floor.section),
    "cameras": ("Cameras", cameras.section),
    "memory": ("Memory", memory.section),
    "growth": ("Growth", growth.section),
    "places": ("Lines, zones and attention", places.section),
    "batching": ("Batching", batching.section),
    "daemon": ("The daemon at work", daemons),
    "stages": ("Stages", stages),
    "truth": ("How right the counts are", truth.section),
}
"""Titles and renderers of the parts."""
