"""`python -m tests.painted_daemon run ...`: the daemon as it is, but for models that read painted visitors.

Real ones take seconds to load and cannot be fooled by a few pixels. All else, process, threads, capture,
windows, outbox and MQTT, is the real thing. The visitors are those of `PEOPLE`; `write_crowd` paints them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edge.cli import main
from edge.clock import Clock
from edge.daemon import runtime
from edge.inference.fallback import ServingBackend
from tests.fakes import PaintedAges, Person, paint, painted_vision, seeing

SIZE = (96, 128)
"""Height and width of the pictures."""

PEOPLE = tuple(Person(tag=tag, age=20 + tag) for tag in range(1, 9))


def write_crowd(folder: Path, visits: int, *, frames: int = 6, gap: int = 3) -> Path:
    """Pictures of one visitor after the other, each in `frames` of them, with `gap` empty ones between.

    Without loss: the fakes read the pixels. Played at five a second, a gap of twenty ends a track.
    """
    folder.mkdir(parents=True)
    for number in range(visits * (frames + gap)):
        visit, step = divmod(number, frames + gap)
        picture = np.full((*SIZE, 3), 90 + number % 3, np.uint8)
        if step < frames:
            paint(picture, PEOPLE[visit % len(PEOPLE)], 64 + step, 48, 32)
        cv2.imwrite(str(folder / f"{number:05}.png"), picture)
    return folder


def serve_painted_ages(*_: object, clock: Clock, rng: random.Random, **__: object) -> ServingBackend:
    """In place of `edge.inference.fallback.serve`."""
    return ServingBackend(PaintedAges(), clock=clock, rng=rng)


PARTS = seeing(partial(painted_vision, people=PEOPLE), serve=serve_painted_ages)


def run(words: Sequence[str]) -> int:
    """Run the command line with these parts; returns the exit status. Once in a process."""
    # The command line builds the runtime with no parts but its own.
    runtime.Runtime = partial(runtime.Runtime, parts=PARTS)  # type: ignore[assignment]
    return main(words)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
