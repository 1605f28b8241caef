"""What a result was measured on, and how exactly it is told."""

from __future__ import annotations

import subprocess
from typing import Any

from bench.box import ROOT


def commit() -> str:
    """The commit measured, with a `+` where files were changed since; empty outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "edge") else "")
    except OSError:
        return ""


def rounded(value: Any) -> Any:  # noqa: ANN401 - a JSON tree is of any shape
    """To three decimals: a millisecond, a thousandth of a core."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return round(value, 3) if isinstance(value, float) else value
