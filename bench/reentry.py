"""Measure who is taken to be back: each person of the recordings at a door, after themselves and others.

    .venv/bin/python -m bench.reentry [--clips DIR] [--pause 5] [--sheet FILE.png]

Nobody comes back on any recording, so it is built from real frames. Each visitor of a recording is cut out
with hair and chest, frame by frame, and put into the picture of an empty room, always at the same door and in
the same size. Then each is taken to leave and, after a pause, the same footage begins from its start, or that
of another person; and once more with the second visit in other light. The place of the face is known; the
clothes are seen and compared as on a box. `Door.visits` shows such pictures to all of vision. Nothing of a
recording is kept, but where `--sheet` asks for a picture of the persons, to compare their clothes by eye.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, permutations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.material import CLIPS, timed_pictures
from bench.tables import table
from edge.bundle import bundle_folder, load_bundle
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.config import load_settings
from edge.ops.metrics import Metrics
from edge.types import Boxes, Frame, Image, TrackEnded
from edge.vision.clothes import colours
from edge.vision.pipeline import Vision, VisionResult, build_detection
from edge.vision.relations.reentry import Departed, Sights
from edge.vision.second_opinion import network_check

ROOM = "empty-room.mp4"
SOURCES = (
    "corridor-three.gif",
    "one-woman.gif",
    "crowd.mp4",
    "field/queue.mp4",
    "field/supermarket.mp4",
    "field/office-three.mp4",
    "field/jumping-seven.mp4",
    "field/street-crowd.mp4",
)
LIGHTS = (1.0, 0.8, 1.25)
"""Factors of brightness of the second visit."""

FPS = 10.0
SHORTEST, LONGEST = 1.0, 3.0
"""Seconds that a recording must show of a person, and that are used at most."""

FACE = 48
"""Pixels of a face at the door, and where its box begins."""
DOOR = (360, 120)
BOX = np.array([*DOOR, DOOR[0] + FACE, DOOR[1] + FACE], np.float32)

KNOWN = 0.6
"""Seconds after which a visitor who comes is known to be a face, and compared with those who left."""

WIDE, ABOVE, BELOW = 1.0, 1.0, 2.3
"""Sides of a face from its box that are cut out: to both sides, above it, and from its top down."""

REENTRY = 60.0
START = datetime(2026, 1, 31, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Person:
    """A visitor of a recording: what the door shows in each frame, uint8 (H, W, 3), `FPS` apart."""

    clip: str
    number: int
    cuttings: list[Image]


class Cutting(Vision):
    """Vision that cuts out who is in view, by the id of the track."""

    def begin(self) -> None:
        self.found: dict[int, list[Image]] = defaultdict(list)

    def process(self, frame: Frame) -> VisionResult:
        result = super().process(frame)
        tracks = [track for track in self._tracks if track.face is not None]
        boxes = np.array([track.xyxy for track in tracks], np.float32).reshape(-1, 4)
        for track, box, worn in zip(tracks, boxes, colours(frame.image, boxes), strict=True):
            if not np.isnan(worn).any():
                self.found[track.track_id].append(cutting(frame.image, box))
        return result


def cutting(image: Image, box: Boxes) -> Image:
    """A person's head and chest, scaled so that the face is `FACE` pixels large."""
    side = float((box[2:] - box[:2]).max())
    scale, (left, top) = FACE / side, box[:2] - side * np.array([WIDE, ABOVE])
    size = round(FACE * (1 + 2 * WIDE)), round(FACE * (ABOVE + BELOW))
    to_door = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float32)
    return np.asarray(
        cv2.warpAffine(image, to_door, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def vision_of(kind: type[Vision]) -> Vision:
    """The vision of a camera at the door, with `REENTRY` seconds to be back in."""
    camera = {"name": "door", "source": "door.mp4"}
    settings = load_settings(None, (f"tracking.reentry={REENTRY}",), {"cameras": [camera]})
    scanner, opinion = build_detection(settings.cameras[0], settings)
    return kind(
        settings.cameras[0],
        scanner=scanner,
        opinion=opinion,
        check=network_check(),
        settings=settings,
        bundle=load_bundle(bundle_folder("builtin", Path())),
        metrics=Metrics(SystemClock(), ["door"]),
    )


def persons(folder: Path, clip: str) -> list[Person]:
    """The visitors of a recording whose clothes are shown for long enough."""
    vision = vision_of(Cutting)
    assert isinstance(vision, Cutting)
    vision.begin()
    with closing(vision), one_opencv_thread():
        messages = []
        for seconds, image in timed_pictures(folder / clip, FPS):
            frame = Frame("door", START + timedelta(seconds=seconds), image)
            messages += vision.process(frame).messages
        messages += vision.finish()
    visits = [message.track_id for message in messages if isinstance(message, TrackEnded)]
    found = [vision.found[track][: round(LONGEST * FPS)] for track in visits]
    return [Person(clip, n, one) for n, one in enumerate(found) if len(one) >= SHORTEST * FPS]


@dataclass(frozen=True, eq=False)
class Door:
    """The picture of an empty room, uint8 (H, W, 3), at whose door people come and go."""

    room: Image

    @classmethod
    def of(cls, folder: Path) -> Door:
        """The first picture of the recording of an empty room."""
        return cls(next(image for _, image in timed_pictures(folder / ROOM, FPS)))

    def visit(self, person: Person, light: float = 1.0) -> Iterator[Image]:
        """The pictures of a visit in light that is so much brighter."""
        left, top = round(DOOR[0] - WIDE * FACE), round(DOOR[1] - ABOVE * FACE)
        for one in person.cuttings:
            picture = self.room.copy()
            picture[top : top + one.shape[0], left : left + one.shape[1]] = one
            yield cv2.convertScaleAbs(picture, alpha=light)

    def visits(self, *pictures: Iterator[Image], pause: float) -> int:
        """How many visits are counted where these follow each other, with the room empty in between."""
        empty = [self.room] * round(pause * FPS)
        vision, messages = vision_of(Vision), []
        with closing(vision), one_opencv_thread():
            shown = [image for visit in pictures for image in (*visit, *empty)]
            for number, image in enumerate(shown):
                frame = Frame("door", START + timedelta(seconds=number / FPS), image)
                messages += vision.process(frame).messages
            messages += vision.finish()
        return sum(isinstance(message, TrackEnded) for message in messages)

    def sights(self, person: Person, light: float, seconds: float) -> Sights:
        """What is remembered of the first `seconds` of a visit."""
        one = Sights.at(BOX, START)
        for number, image in enumerate(islice(self.visit(person, light), round(seconds * FPS))):
            one.see(BOX, colours(image, BOX[None])[0], START + timedelta(seconds=number / FPS))
        return one


def is_back(one: Sights, other: Sights, pause: float) -> bool:
    """Whether `other`, who comes `pause` seconds after `one` left, is taken for the same person."""
    departed = Departed(REENTRY)
    departed.add(one)
    begin = one.end + timedelta(seconds=pause)
    return departed.take_back(replace(other, begin=begin, end=begin + (other.end - other.begin)))


@dataclass(frozen=True)
class Found:
    """Of the pairs of one light: who came back and was taken to, and who was taken for another one."""

    light: float
    back: list[bool]
    others: list[bool]
    neighbours: list[bool]
    """others: of all pairs of two persons; neighbours: of those of one recording."""


def measure(people: Sequence[Person], door: Door, pause: float) -> Iterator[Found]:
    """Each person after themselves, and after each other one."""
    before = [door.sights(person, 1.0, LONGEST) for person in people]
    for light in LIGHTS:
        after = [door.sights(person, light, KNOWN) for person in people]
        taken = {
            (a, b): is_back(one, other, pause)
            for a, one in enumerate(before)
            for b, other in enumerate(after)
        }
        pairs = list(permutations(range(len(people)), 2))
        yield Found(
            light,
            [taken[n, n] for n in range(len(people))],
            [taken[pair] for pair in pairs],
            [taken[a, b] for a, b in pairs if people[a].clip == people[b].clip],
        )


def markdown(found: Sequence[Found]) -> str:
    """A row for each light."""
    rows = [
        (f"{one.light:g}", *(_share(part) for part in (one.back, one.others, one.neighbours)))
        for one in found
    ]
    return table(
        ("light of the second visit", "the same person", "another person", "another one of the recording"),
        rows,
    )


def _share(taken: Sequence[bool]) -> str:
    return f"{sum(taken)} of {len(taken)}"


def sheet(people: Sequence[Person]) -> NDArray[np.uint8]:
    """A picture of every person, ten in a row."""
    shown = [person.cuttings[0] for person in people]
    shown += [np.zeros_like(shown[0])] * (-len(shown) % 10)
    return np.vstack([np.hstack(shown[n : n + 10]) for n in range(0, len(shown), 10)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--pause", type=float, default=5.0)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    people = [person for clip in SOURCES for person in persons(args.clips, clip)]
    if args.sheet:
        cv2.imwrite(str(args.sheet), sheet(people))
    print(markdown(list(measure(people, Door.of(args.clips), args.pause))))


if __name__ == "__main__":
    main()
