"""The result of one test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from edge.errors import InstoreError


class Status(StrEnum):
    """`warning`: it works, but needs attention."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was tested, the result, and what was found or what to do."""

    what: str
    status: Status
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Warn(Exception):  # noqa: N818 - not an error: it ends a test that passes with a warning
    """Ends a test with a warning, its text."""


def attempt(what: str, test: Callable[[], str]) -> Verdict:
    """Run one test. It returns what was found, or raises `Warn` or an InstoreError."""
    try:
        return Verdict(what, Status.OK, test())
    except Warn as warning:
        return Verdict(what, Status.WARNING, str(warning))
    except InstoreError as error:
        return Verdict(what, Status.FAILED, str(error))
