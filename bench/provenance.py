"""The commit of a result, the rounding of its figures, and its files."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.box import ROOT
from edge.files import write_atomically


def commit() -> str:
    """The commit measured, with a `+` where `edge` has uncommitted changes; empty outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "edge") else "")
    except OSError:
        return ""


def rounded(value: Any) -> Any:  # noqa: ANN401 - a JSON tree is of any shape
    """The same with every fraction rounded to three decimals."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return round(value, 3) if isinstance(value, float) else value


def add_out(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option for the place of the results; without it they are the files `name` of bench/results."""
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "bench" / "results" / name,
        help="path of the results, without .json and .md",
    )


def keep(report: Mapping[str, Any], text: str, out: Path) -> None:
    """Write the report for machines, OUT.json, and the text for people, OUT.md."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out.with_suffix(".json"), json.dumps(report, indent=2) + "\n")
    write_atomically(out.with_suffix(".md"), text)
