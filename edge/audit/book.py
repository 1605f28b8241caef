"""What the box keeps of its audits: sums and results by camera, in one private file. No time but a date."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from edge.audit.error import FEWEST, Sums
from edge.errors import OutsideError
from edge.files import PRIVATE, write_atomically

log = logging.getLogger(__name__)

FILE = "audits.json"
"""In the state folder."""

TENS = 10
"""Visitors of a result are published in whole tens."""

EPSILON = Fraction(1)
"""Of a result, for each visitor of its rounds: a half for the visitors, a half for the difference."""

LARGEST = 100
"""Per cent: the largest error that is published, for itself and all beyond."""

Noise = Callable[[Fraction], int]
"""A draw of discrete Laplace noise of this epsilon, for a number that a visitor changes by at most one."""


class Result(BaseModel):
    """What leaves the box of its rounds, with noise. error: per cent, -100 to 100. epsilon: of both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    visits: NonNegativeInt
    error: int
    epsilon: float


class Audit(BaseModel):
    """Of one camera. sums: all rounds under `setup`. block: those since the last result.

    setup: says whether rounds were counted by the same box: a hash of what decides who is counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    setup: str = ""
    sums: Sums = Sums()
    block: Sums = Sums()
    last: Result | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.block.rounds > self.sums.rounds or self.block.seen > self.sums.seen:
            raise ValueError("more rounds since the last result than in all")
        return self

    def under(self, setup: str) -> Audit:
        """This audit for a box of this setup: it begins again where it is another one."""
        return self if setup == self.setup else Audit(setup=setup)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    cameras: dict[str, Audit] = {}


def published(block: Sums, day: date, noise: Noise) -> Result:
    """What may leave the box of these rounds. Two draws; the rest is computed from the numbers with noise.

    That the rounds were enough is exact, so no fewer than `FEWEST` visitors are stated.
    """
    seen = max(block.seen + noise(EPSILON / 2), FEWEST)
    per_cent = round(100 * (block.counted - block.seen + noise(EPSILON / 2)) / seen)
    return Result(
        day=day,
        visits=round(seen / TENS) * TENS,
        error=max(-LARGEST, min(per_cent, LARGEST)),
        epsilon=float(EPSILON),
    )


class AuditBook:
    """The audits of a box; for several threads. path: the file, which need not exist yet. noise: for results.

    A file that cannot be read is set aside: the audits begin again. Raises OutsideError where the disk fails.
    """

    def __init__(self, path: Path, noise: Noise) -> None:
        self._path = path
        self._noise = noise
        self._guard = threading.Lock()
        self._cameras = dict(_read(path).cameras)

    def audit(self, camera: str, setup: str) -> Audit:
        """The audit of a camera as it is set up now."""
        with self._guard:
            return self._cameras.get(camera, Audit()).under(setup)

    def add(self, camera: str, setup: str, seen: int, counted: int) -> None:
        """Add a round: what the person and the box counted."""
        with self._guard:
            found = self._cameras.get(camera, Audit()).under(setup)
            more = {
                "sums": found.sums.with_round(seen, counted),
                "block": found.block.with_round(seen, counted),
            }
            self._write(camera, found.model_copy(update=more))

    def finish(self, camera: str, setup: str, day: date) -> Result | None:
        """Make a result of the rounds since the last one, which are in no later one. None: too few.

        Its noise is drawn once, and kept with it: where it cannot be written, nothing of it has left.
        """
        with self._guard:
            found = self._cameras.get(camera, Audit()).under(setup)
            if not found.block.is_enough:
                return None
            result = published(found.block, day, self._noise)
            self._write(camera, found.model_copy(update={"block": Sums(), "last": result}))
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
