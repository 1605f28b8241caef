"""An audit for programs and for people."""

from __future__ import annotations

import math
from typing import Any

from edge.audit.book import Audit
from edge.audit.error import LEVEL, Error, Sums


def as_json(sums: Sums) -> dict[str, Any]:
    """The numbers of rounds to the person who counted them: those of both, and the error."""
    return {"seen": sums.seen, "counted": sums.counted, **error_as_json(sums)}


def error_as_json(sums: Sums) -> dict[str, Any]:
    """The error with its interval, in whole per cent, or why there is none."""
    return {
        "rounds": sums.rounds,
        "error": _per_cents(sums.error) if sums.error else None,
        "level": LEVEL,
        "reason": sums.reason,
    }


def audit_as_json(audit: Audit) -> dict[str, Any]:
    """All rounds of a camera, whether those since the last result are enough for another, and that result."""
    last = audit.last.model_dump(mode="json") if audit.last else None
    since = {"rounds": audit.block.rounds, "is_enough": audit.block.is_enough}
    return {"sums": error_as_json(audit.sums), "since": since, "last": last}


def audit_in_words(audit: Audit) -> str:
    """The same for a person."""
    sums, last = audit.sums, audit.last
    rounds = f"{sums.rounds} round{'' if sums.rounds == 1 else 's'}"
    result = f"{last.day}: {last.error} % of {last.visits} visitors" if last else "none"
    return f"{rounds}: {in_words(sums)}; last result: {result}"


def in_words(sums: Sums) -> str:
    """The error with its interval, or why there is none."""
    return _of_error(sums.error) if sums.error else sums.reason or ""


def _of_error(error: Error) -> str:
    found = _per_cents(error)
    ends = f"{found['low']:+d} % to {found['high']:+d} %"
    return f"{found['share']:+d} %, {100 * LEVEL:.0f} % interval {ends}"


def _per_cents(error: Error) -> dict[str, int]:
    """In whole per cent; the ends of the interval are rounded outwards."""
    return {
        "share": round(100 * error.share),
        "low": math.floor(100 * error.low),
        "high": math.ceil(100 * error.high),
    }
