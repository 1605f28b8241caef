"""What the box keeps of its audits: sums and results by camera, in one private file. No time but a date."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from edge.audit.error import Error, Sums
from edge.errors import OutsideError
from edge.files import PRIVATE, write_atomically

log = logging.getLogger(__name__)

FILE = "audits.json"
"""In the state folder."""

TENS = 10
"""Visitors of an audit are published in whole tens, rounded down."""

MANY = 100
"""Visitors from which on the error is published in single per cent; below, in steps of `STEP`. In single per
cent the error of 30 visitors would say how many of them there were."""

STEP = 5

LARGEST = 50
"""Per cent: the largest error that is published, for itself and all beyond. -100 would say that the box
counted nobody."""


class Result(BaseModel):
    """What leaves the box of an audit that was finished. error: per cent, -50 to 50."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    visits: NonNegativeInt
    error: int


class Audit(BaseModel):
    """Of one camera. sums: the rounds since the last result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sums: Sums = Sums()
    last: Result | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    cameras: dict[str, Audit] = {}


def published(sums: Sums, error: Error, day: date) -> Result:
    """What may leave the box of these sums: numbers that do not say how many visitors there were."""
    step = 1 if sums.seen >= MANY else STEP
    per_cent = step * round(100 * error.share / step)
    return Result(
        day=day,
        visits=sums.seen // TENS * TENS,
        error=max(-LARGEST, min(per_cent, LARGEST)),
    )


class AuditBook:
    """The audits of a box; for several threads. path: the file, which need not exist yet.

    A file that cannot be read is set aside: the audits begin again. Raises OutsideError where the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._cameras = dict(_read(path).cameras)

    @property
    def audits(self) -> Mapping[str, Audit]:
        """By camera."""
        with self._guard:
            return dict(self._cameras)

    def add(self, camera: str, seen: int, counted: int) -> Sums:
        """Add a round: what the person and the box counted. The sums with it."""
        with self._guard:
            found = self._cameras.get(camera, Audit())
            sums = found.sums.with_round(seen, counted)
            self._write(camera, found.model_copy(update={"sums": sums}))
            return sums

    def finish(self, camera: str, day: date) -> Result | None:
        """End the camera's audit; its visitors are in no later one. None: too few for an error."""
        with self._guard:
            sums = self._cameras.get(camera, Audit()).sums
            if (error := sums.error) is None:
                return None
            result = published(sums, error, day)
            self._write(camera, Audit(last=result))
            return result

    def _write(self, camera: str, audit: Audit) -> None:
        cameras = {**self._cameras, camera: audit}
        try:
            write_atomically(self._path, _File(cameras=cameras).model_dump_json(), mode=PRIVATE)
        except OSError as error:
            raise OutsideError(f"{self._path}: cannot be written: {error.strerror or error}") from None
        self._cameras = cameras


def read_audits(path: Path) -> Mapping[str, Audit]:
    """The audits of a box by camera, none where there is no file. Raises OutsideError."""
    try:
        return _parsed(path).cameras
    except ValidationError:
        raise OutsideError(f"{path}: is damaged; the daemon sets it aside when it starts") from None


def _read(path: Path) -> _File:
    try:
        return _parsed(path)
    except ValidationError:
        return _set_aside(path)


def _parsed(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise OutsideError(f"{path}: cannot be read: {error.strerror or error}") from None


def _set_aside(path: Path) -> _File:
    aside = path.with_suffix(".damaged")
    try:
        path.replace(aside)
    except OSError as error:
        raise OutsideError(f"{path}: cannot be set aside: {error.strerror or error}") from None
    log.warning("%s is damaged; it is kept as %s, and the audits begin again", path, aside.name)
    return _File()
