"""The benchmark's report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Report = dict[str, Any]


def markdown(report: Report) -> str:
    """The whole report, for a person."""
    return (
        "\n\n".join(
            [
                "# Speed and memory",
                introduction(report),
                "## What was expected",
                table(("", "measured", "limit", ""), expectations(report)),
                "## Start",
                start(report),
                "## The daemon at work",
                daemons(report),
                "## Stages",
                stages(report),
                "## Where",
                where(report),
            ]
        )
        + "\n"
    )


def introduction(report: Report) -> str:
    """How and on what it was made."""
    broker = "a mosquitto" if report["broker"] == "mosquitto" else "no broker"
    before, after = (report["environment"][f"load_{when}"] for when in ("before", "after"))
    return (
        f"Made by `{report['command']}` on {report['taken_at'][:10]}, on {report['material']}, with "
        f"{broker} beside it. The machine may have had other work (load {before:.1f} before, {after:.1f} "
        "after): trust the ratios, taken in one run, more than the times."
    )


def expectations(report: Report) -> list[Sequence[str]]:
    """Rows: what, the figure, its limit, whether it is met."""
    whole = report["daemon"][0]
    memory = max(daemon["rss_mb"] for daemon in report["daemon"])
    rows = (
        ("first analysed frame", report["start"]["frame_s"], 6, "s"),
        ("resident memory, one camera, the largest below", memory, 400, "MB"),
        (f"cores, {whole['size']} at 10 frames a second, whole picture", whole["cores"], 1, ""),
    )
    return [
        (
            name,
            f"{value:.2f} {unit}".strip(),
            f"{limit} {unit}".strip(),
            "met" if value < limit else "**missed**",
        )
        for name, value, limit, unit in rows
    ]


def start(report: Report) -> str:
    """Milestones of the median start."""
    times = report["start"]
    rows = (
        ("the age model is open", times["age_model_s"], "Python, our imports, ONNX Runtime"),
        ("ready", times["ready_s"], "MediaPipe and the face models"),
        ("first frame analysed", times["frame_s"], "decoded, and every tile searched"),
    )
    starts = ", ".join(f"{one['frame_s']:.2f}" for one in report["starts"])
    return (
        table(("seconds from the process's start", "", "after"), [(n, f"{s:.2f}", w) for n, s, w in rows])
        + f"\n\nMedians; first frames of the single starts: {starts} s."
    )


def daemons(report: Report) -> str:
    """Processor time, frames and memory of each case, beside decoding alone."""
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
    alone = report["decoding_alone_cores"]
    first = report["daemon"][0]["size"]
    rows = [("decoding alone", first, f"{alone:.2f}", "1.0", *[""] * 7)]
    for daemon in report["daemon"]:
        sizes = (f"{daemon[key]:.0f}" for key in ("rss_mb", "pss_mb", "uss_mb", "peak_rss_mb", "threads"))
        ratio = f"{daemon['cores'] / alone:.1f}" if daemon["size"] == first else ""
        rates = (f"{daemon['analysed_fps']:.1f}", f"{daemon['dropped_fps']:.1f}")
        rows.append((daemon["case"], daemon["size"], f"{daemon['cores']:.2f}", ratio, *rates, *sizes))
    return table(head, rows) + (
        "\n\nOne camera, a recording looped at its own pace, 10 frames analysed a second at most. Cores: "
        "seconds of processor time for each second. MB are 10^6 bytes; USS: what no other process shares; "
        "peak: the most that was resident at any time. The small picture is the large one shrunk, as MPEG-4."
    )


def stages(report: Report) -> str:
    """A table for each clip."""
    return "\n\n".join(stage_table(clip) for clip in report["stages"]) + (
        "\n\nOne thread, no frame lost (`instore-edge bench`). p50 and p95 are of single frames; the mean "
        "holds also what comes after the last one. Decoding includes the frames that max_fps passes over, "
        "crops the second opinion."
    )


def stage_table(clip: Report) -> str:
    """What a clip is and what it gave, and its stages."""
    way = "tiles where the picture is large" if clip["tiles"] else "whole picture"
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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; figures to the right."""
    rows = list(rows)
    lines = [head, ["---" if i == 0 else "---:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
