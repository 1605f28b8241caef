"""The result of one test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from edge.errors import InstoreError

if TYPE_CHECKING:  # it loads NumPy, which `check --help` does not need
    from edge.inference.backend import AgeBackend


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


@dataclass(frozen=True, slots=True)
class Live:
    """Of the daemon that runs the tests: what they must not open a second time.

    backend: that runs its age model. is_connected: whether its broker has accepted it. faces_on: what finds
    its faces, for a person.
    """

    backend: AgeBackend
    is_connected: bool
    faces_on: str = ""


class Warn(Exception):  # noqa: N818 - not an error: it ends a test that passes with a warning
    """Ends a test with a warning, its text."""


def attempt(what: str, test: Callable[[], str]) -> Verdict:
    """Run one test. It returns what was found, or raises `Warn`, an InstoreError, or what systems raise."""
    try:
        return Verdict(what, Status.OK, test())
    except Warn as warning:
        return Verdict(what, Status.WARNING, str(warning))
    except InstoreError as error:
        return Verdict(what, Status.FAILED, str(error))
    except (OSError, MemoryError, RuntimeError, ValueError) as error:  # the daemon runs tests, and must go on
        return Verdict(what, Status.FAILED, f"{type(error).__name__}: {error}")
