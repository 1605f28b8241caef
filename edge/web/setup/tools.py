"""What the page's Set up gets from the daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.capture import LatestFrame
from edge.config import CameraSettings, Settings
from edge.types import Boxes, Frame


class Finder(Protocol):
    """Finds all that may be a face in a frame, until it is closed."""

    def __call__(self, frame: Frame) -> Boxes:
        """The boxes, float32 (N, 4)."""

    def likely(self, frame: Frame) -> Boxes:
        """Those that are likely to be a face."""

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True, slots=True)
class Configured:
    """How the daemon's configuration was read, and how `check` tests one.

    file: None where there is none beside which `conf.d` could be. load: reads it again, with these texts for
    files that are not written; raises ConfigurationError. check: the verdicts as JSON objects.
    """

    file: Path | None
    load: Callable[[Mapping[Path, str]], Settings]
    check: Callable[[Settings], Sequence[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Tools:
    """watch: the frames of a camera as they are analysed, while the context is open. find: the finder for a
    camera's still. start: runs work in a thread whose failure ends the daemon. on_preview: somebody makes or
    looks at a still, or nobody does any more. on_fault: a fault outside prevented a still. reload: asks the
    daemon to read its configuration again. rejected: whether the last reload was.
    """

    configured: Configured
    watch: Callable[[str], AbstractContextManager[LatestFrame]]
    find: Callable[[CameraSettings], Finder]
    start: Callable[[str, Callable[[], None]], None]
    on_preview: Callable[[bool], None]
    on_fault: Callable[[], None]
    reload: Callable[[], None]
    rejected: Callable[[], bool]
