"""An audit for programs and for people."""

from __future__ import annotations

from typing import Any

from edge.audit.error import LEVEL, Error, Sums


def as_json(sums: Sums) -> dict[str, Any]:
    """The numbers of an audit: those of both, the error with its interval, or why there is none."""
    error = sums.error
    shares = {"share": error.share, "low": error.low, "high": error.high} if error else {}
    return {
        "rounds": sums.rounds,
        "seen": sums.seen,
        "counted": sums.counted,
        "error": {name: round(share, 3) for name, share in shares.items()} or None,
        "level": LEVEL,
        "reason": sums.reason,
    }


def in_words(sums: Sums) -> str:
    """The error with its interval, or why there is none."""
    return _of_error(sums.error) if sums.error else sums.reason or ""


def _of_error(error: Error) -> str:
    return f"{error.share:+.1%}, {LEVEL:.0%} interval {error.low:+.1%} to {error.high:+.1%}"
