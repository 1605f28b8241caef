"""An audit for programs and for people."""

from __future__ import annotations

from typing import Any

from edge.audit.book import Audit
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


def audit_as_json(audit: Audit) -> dict[str, Any]:
    """The rounds since the last result of a camera, and that result."""
    last = audit.last.model_dump(mode="json") if audit.last else None
    return {"sums": as_json(audit.sums), "last": last}


def audit_in_words(audit: Audit) -> str:
    """The same for a person."""
    sums, last = audit.sums, audit.last
    rounds = f"{sums.rounds} round{'' if sums.rounds == 1 else 's'}"
    since = f"{rounds}, {sums.seen} by you, {sums.counted} by the box: {in_words(sums)}"
    result = f"{last.day}: {last.error} % of {last.visits} visitors" if last else "none"
    return f"{since}; last result: {result}"


def in_words(sums: Sums) -> str:
    """The error with its interval, or why there is none."""
    return _of_error(sums.error) if sums.error else sums.reason or ""


def _of_error(error: Error) -> str:
    return f"{error.share:+.1%}, {LEVEL:.0%} interval {error.low:+.1%} to {error.high:+.1%}"
