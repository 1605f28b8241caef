"""A window as it may leave the box. The encoder takes nothing else, and only `release_window` makes one."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime

from edge.release.suppression import ReleasedCounts, release
from edge.types import Coverage, WindowCounts


class _Seal:
    """Proof that a window was released: a value of this type exists in this module only."""


_SEAL = _Seal()


@dataclass(frozen=True, slots=True)
class ReleasedWindow:
    """Place, time and coverage of a window, and what may be published of its counts.

    seal: keeps everything but `release_window` from making one. mypy refuses any other call, as nothing else
    has a value of its type; so does the constructor, with TypeError.
    """

    site: str
    camera_id: str
    zone: str
    start: datetime
    end: datetime
    coverage: Coverage
    released: ReleasedCounts
    seal: InitVar[_Seal]

    def __post_init__(self, seal: _Seal) -> None:
        if seal is not _SEAL:
            raise TypeError("ReleasedWindow: only release_window() makes one")


def release_window(window: WindowCounts, minimum: int) -> ReleasedWindow:
    """What of `window` may be published when fewer than `minimum` (1 or more) visitors must not show.

    Raises ValueError for a minimum below 1.
    """
    return ReleasedWindow(
        window.site,
        window.camera_id,
        window.zone,
        window.start,
        window.end,
        window.coverage,
        release(window, minimum),
        seal=_SEAL,
    )
