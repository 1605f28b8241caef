"""Scenes of known truth, drawn: people at a till and in aisles as a camera of a shop shows them.

The people are the demo's portraits. Each scene draws its picture's size, its frame rate and all else from
its number; the same number gives the same pictures. Who shows the face for `SHOWN` seconds in all, at `LEAST`
pixels or more, is a visitor; scenes in which somebody shows it for less, but for some time, are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.commands.demo.scene import PORTRAITS, Face, Figure, Portrait, backdrop
from edge.types import Image

Rng = np.random.Generator
Retouch = Callable[[Image, Portrait], None]
Spans = tuple[tuple[float, float], ...]

SIZES = ((1280, 720), (960, 540), (640, 360), (640, 360))
"""Pictures; small ones twice, as they are cheap to analyse and as common as others."""

RATES = (3, 5, 8, 10, 15, 25)
SHOWN, GLIMPSE = 2.0, 0.3
"""Seconds of the face from which on somebody counts, and up to which they do not."""

LEAST = 15
"""Pixels of the smallest face."""

NOISE = 3.0
"""Standard deviation in grey levels of the pixels: a sensor in good light."""

COARSE = 4
"""Pixels of the picture in one of the map in which is found out who hides whom."""

WHOLE, GONE = 0.25, 0.75
"""Shares of a face: it is seen surely while less than the first is hidden, and not at all while more than the
second."""

STEP = 0.1
"""Seconds between two moments at which that is found out."""


@dataclass(frozen=True, slots=True)
class Someone:
    """A person: the way of the face by times in seconds, x in pixels and size in pixels, smooth between.

    turned: spans in which the back is shown. still: a picture on a wall that does not sway. lift: height over
    the others in face sizes.
    """

    front: Figure
    back: Figure
    outline: Figure
    times: list[float]
    xs: list[float]
    sizes: list[float]
    turned: Spans = ()
    still: bool = False
    lift: float = 0.0
    phase: float = 0.0

    def at(self, t: float, height: int) -> Face | None:
        """The face at `t` seconds in a picture of this height, None where the person is not there."""
        if not self.times[0] <= t <= self.times[-1]:
            return None
        x = float(np.interp(t, self.times, self.xs))
        size = float(np.exp(np.interp(t, self.times, np.log(self.sizes))))
        y = 0.14 * height + (1.75 - self.lift) * size
        if self.still:
            return Face(x, y, size)
        sway = np.sin(1.9 * t + self.phase) + 0.6 * np.sin(3.7 * t + 2 * self.phase)
        return Face(x + 0.07 * size * sway, y + 0.04 * size * np.sin(8 * t + self.phase), size)

    def shows_back(self, t: float) -> bool:
        return any(a <= t < b for a, b in self.turned)


@dataclass(frozen=True, slots=True)
class Scene:
    """People before a wall, and pillars (left and right in pixels) before them."""

    kind: str
    width: int
    height: int
    fps: float
    seconds: float
    people: list[Someone]
    pillars: Spans = ()
    exposure: float = 1.0
    seed: int = 0

    @property
    def visitors(self) -> int:
        """How many show their face long enough; pictures on a wall are no visitors."""
        return sum(surely >= SHOWN for surely, _ in self.shown())

    @property
    def clear(self) -> bool:
        """Whether everybody shows the face for long or hardly at all."""
        return not any(surely < SHOWN and perhaps > GLIMPSE for surely, perhaps in self.shown())

    def shown(self) -> list[tuple[float, float]]:
        """Seconds for which each person's face is seen surely, and perhaps; 0 for a picture on a wall."""
        steps = np.arange(0, min(self.seconds, 60.0), STEP)
        hidden = np.array([self._hidden(t) for t in steps])  # shares, 1 where there is no face to be seen
        times = STEP * np.array([(hidden < WHOLE).sum(axis=0), (hidden < GONE).sum(axis=0)])
        return [(float(a), float(b)) for a, b in times.T]

    def _hidden(self, t: float) -> list[float]:
        """The share of each person's face that is hidden at `t`."""
        cover = np.zeros((self.height // COARSE, self.width // COARSE, 3), np.uint8)
        for left, right in self.pillars:
            cover[:, round(left / COARSE) : round(right / COARSE)] = 255
        hidden = [1.0] * len(self.people)
        faces = [person.at(t, self.height) for person in self.people]
        there = [(face.size, i, face) for i, face in enumerate(faces) if face is not None]
        for size, index, face in sorted(there, reverse=True):
            small = Face(face.x / COARSE, face.y / COARSE, size / COARSE)
            person = self.people[index]
            if not (person.shows_back(t) or person.still or size < LEAST):
                hidden[index] = _share_hidden(cover, small)
            person.outline.paint(cover, small)
        return hidden

    def frames(self) -> Iterator[tuple[float, Image]]:
        """Seconds and picture, uint8 (height, width, 3) BGR, of every frame."""
        room = cv2.resize(backdrop(), (self.width, self.height), interpolation=cv2.INTER_AREA)
        rng = np.random.default_rng(self.seed)
        grain = rng.normal(0, NOISE, (self.height, self.width, 3)).astype(np.float32)
        for number in range(round(self.seconds * self.fps)):
            t = number / self.fps
            image = self._paint(room.copy(), t)
            shift = tuple(rng.integers(0, (self.height, self.width)))
            noisy = image * self.exposure + np.roll(grain, shift, axis=(0, 1))
            yield t, np.clip(noisy, 0, 255).astype(np.uint8)

    def _paint(self, image: Image, t: float) -> Image:
        there = [(face, p) for p in self.people if (face := p.at(t, self.height)) is not None]
        for face, person in sorted(there, key=lambda one: one[0].size):
            (person.back if person.shows_back(t) else person.front).paint(image, face)
        for left, right in self.pillars:
            image[:, round(left) : round(right)] = (120, 130, 135)
        return image


# --- What people look like -----------------------------------------------------------------------


def _share_hidden(cover: Image, face: Face) -> float:
    """The share of a face that is covered or outside the picture."""
    half = 0.45 * face.size
    left, top, right, bottom = (
        round(v) for v in (face.x - half, face.y - half, face.x + half, face.y + half)
    )
    inside = cover[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0), 0]
    return 1.0 - float((inside < 128).sum()) / max((right - left) * (bottom - top), 1)


def dressed(rng: Rng) -> Retouch:
    """Clothes of a colour of their own: people differ by them."""
    tint = rng.uniform(0.35, 1.5, 3)
    return _below(lambda clothes: clothes * tint + 25)


def uniformed(rng: Rng) -> Retouch:
    """Clothes that are alike on everybody who wears them."""
    colour = rng.uniform(30, 200, 3)
    return _below(lambda clothes: 0.3 * clothes + 0.7 * colour)


def _below(change: Callable[[Image], NDArray[np.floating]]) -> Retouch:
    """A change of what is below the chin."""

    def retouch(picture: Image, portrait: Portrait) -> None:
        below = picture[round(portrait.y + 0.85 * portrait.width) :, :, :3]
        below[...] = np.clip(change(below), 0, 255)

    return retouch


def blurred(rng: Rng) -> Retouch:
    """Out of focus, or moved while the shutter was open."""
    share, moved = rng.uniform(0.03, 0.06), rng.random() < 0.5

    def retouch(picture: Image, portrait: Portrait) -> None:
        sigma = share * portrait.width
        picture[...] = cv2.GaussianBlur(picture, (0, 0), sigma, sigmaY=sigma / 4 if moved else sigma)

    return retouch


def masked(rng: Rng) -> Retouch:
    """A medical mask over nose and mouth."""
    colour = [(225, 215, 190), (240, 240, 240), (60, 60, 60)][rng.integers(3)]

    def retouch(picture: Image, portrait: Portrait) -> None:
        x, y, w = portrait.x, portrait.y, portrait.width
        corners = [(-0.36, 0.02), (0.0, -0.04), (0.36, 0.02), (0.3, 0.34), (0.0, 0.5), (-0.3, 0.34)]
        points = np.array([(x + a * w, y + b * w) for a, b in corners], np.int32)
        _fill(picture, lambda paint: cv2.fillPoly(paint, [points], colour))

    return retouch


def shaded(rng: Rng) -> Retouch:
    """Sunglasses."""
    colour = (25, 20, 20) if rng.random() < 0.7 else (30, 45, 70)

    def retouch(picture: Image, portrait: Portrait) -> None:
        x, y, w = portrait.x, portrait.y, portrait.width

        def draw(paint: Image) -> None:
            for side in (-0.19, 0.19):
                centre = (round(x + side * w), round(y - 0.13 * w))
                cv2.ellipse(paint, centre, (round(0.15 * w), round(0.11 * w)), 0, 0, 360, colour, -1)
            level = round(y - 0.15 * w)
            cv2.line(
                paint,
                (round(x - 0.42 * w), level),
                (round(x + 0.42 * w), level),
                colour,
                max(round(0.03 * w), 1),
            )

        _fill(picture, draw)

    return retouch


def _fill(picture: Image, draw: Callable[[Image], object]) -> None:
    """Draw on the colours of a cut-out, whose alpha stays."""
    colours = np.ascontiguousarray(picture[..., :3])
    draw(colours)
    picture[..., :3] = colours


def from_behind(rng: Rng) -> Retouch:
    """Hair where the face was, in strands, down to the neck."""
    shade = np.array([(35, 45, 60), (60, 90, 120), (120, 125, 130), (20, 20, 25)][rng.integers(4)], float)
    seed = int(rng.integers(1 << 30))

    def retouch(picture: Image, portrait: Portrait) -> None:
        x, y, w = portrait.x, portrait.y, portrait.width
        rows, columns = np.indices(picture.shape[:2], np.float32)
        across, down = (columns - x) / (0.62 * w), (rows - y + 0.12 * w) / (0.82 * w)
        head: NDArray[np.bool_] = np.hypot(across, down) < 1
        strands = np.random.default_rng(seed).normal(0, 1, (1, picture.shape[1], 1))
        strands = cv2.GaussianBlur(np.repeat(strands, picture.shape[0], axis=0), (0, 0), 2).reshape(
            *picture.shape[:2], 1
        )
        shine = np.clip(1.3 - 0.7 * np.abs(columns - x) / w - 0.25 * (rows - y) / w, 0.5, 1.5)[..., None]
        hair = np.clip((shade + 30 * strands) * shine, 0, 255)
        picture[..., :3] = np.where(head[..., None], hair, picture[..., :3])

    return retouch


def white(picture: Image, portrait: Portrait) -> None:
    """An outline: white where somebody hides what is behind."""
    picture[..., :3] = 255


def both(*changes: Retouch) -> Retouch:
    def retouch(picture: Image, portrait: Portrait) -> None:
        for change in changes:
            change(picture, portrait)

    return retouch


# --- Kinds of scenes -----------------------------------------------------------------------------


@dataclass
class Cast:
    """Draws the people of one scene, in a picture of this size and a face's usual range of sizes in it."""

    rng: Rng
    width: int
    height: int
    look: Callable[[Rng], Retouch] = field(default=lambda rng: both())
    light: float = 1.0
    _names: list[str] = field(default_factory=list)

    def size(self, low: float = 0.0, high: float = 1.0) -> float:
        """A size between shares of the range of 24 px (or a thirtieth of the height) to 200 px at most."""
        least, most = max(24.0, self.height / 26), min(200.0, self.height / 3.4)
        return float(np.exp(np.interp(self.rng.uniform(low, high), [0, 1], np.log([least, most]))))

    def someone(
        self,
        times: list[float],
        xs: list[float],
        sizes: list[float],
        turned: Spans = (),
        *,
        still: bool = False,
        clothes: Retouch | None = None,
        lift: float | None = None,
    ) -> Someone:
        rng = self.rng
        if not self._names:
            self._names = list(rng.permutation(list(PORTRAITS)))
        portrait, clothes = PORTRAITS[self._names.pop()], clothes or dressed(rng)
        mirrored, light = bool(rng.random() < 0.5), self.light * float(rng.uniform(0.85, 1.12))
        front = Figure(portrait, mirrored=mirrored, brightness=light, retouch=both(clothes, self.look(rng)))
        back = Figure(portrait, mirrored=mirrored, brightness=light, retouch=both(clothes, from_behind(rng)))
        outline = Figure(portrait, mirrored=mirrored, retouch=white)
        lift = float(rng.uniform(-0.25, 0.25)) if lift is None else lift
        phase = float(rng.uniform(0, 6))
        return Someone(front, back, outline, times, xs, sizes, turned, still, lift, phase)

    def visit(self, start: float, slot: tuple[float, float], *, turned: Spans = ()) -> Someone:
        """Comes in at a side, stands in the slot (shares of the width), and leaves at a side."""
        rng, size = self.rng, self.size()
        stand = self.width * float(rng.uniform(*slot))
        first, last = (float(rng.choice([-1.2 * size, self.width + 1.2 * size])) for _ in range(2))
        pace = size * float(rng.uniform(3, 6))
        arrive = start + abs(stand - first) / pace
        leave = arrive + float(rng.uniform(1.5, 3))
        gone = leave + abs(stand - last) / pace
        sizes = [size * float(rng.uniform(0.5, 0.9)), size, size, size * float(rng.uniform(0.7, 1.1))]
        return self.someone([start, arrive, leave, gone], [first, stand, stand, last], sizes, turned)

    def stander(self, x: float, seconds: float, size: float, turned: Spans = ()) -> Someone:
        return self.someone([0, seconds], [x, x], [size, size], turned)


Parts = tuple[list[Someone], Spans, float]
"""People, pillars, seconds."""


def visits(cast: Cast) -> Parts:
    """One to three people, each in a part of the picture of their own."""
    count = int(cast.rng.integers(1, 4))
    slots = [(i / count + 0.08, (i + 1) / count - 0.08) for i in range(count)]
    people = [cast.visit(1.5 * i, slot) for i, slot in enumerate(cast.rng.permutation(slots))]
    return people, (), max(p.times[-1] for p in people) + 0.5


def crossing(cast: Cast) -> Parts:
    """Two to four people walk past each other, nearer and farther."""
    people, pace = [], float(cast.rng.uniform(2.5, 5))
    for number in range(int(cast.rng.integers(2, 5))):
        size = cast.size(0.1 + 0.2 * number, 0.25 + 0.2 * number)
        ends = [-1.2 * size, cast.width + 1.2 * size]
        seconds = (ends[1] - ends[0]) / (pace * cast.width / 14)
        start = float(cast.rng.uniform(0, 1.5))
        people.append(cast.someone([start, start + seconds], ends[:: cast.rng.choice([-1, 1])], [size, size]))
    return people, (), max(p.times[-1] for p in people) + 0.5


def queue(cast: Cast) -> Parts:
    """Three to six people one behind the other, who step forward in turn; those behind are partly hidden."""
    count, step = int(cast.rng.integers(3, 7)), float(cast.rng.uniform(2.5, 3.5))
    near, apart = cast.size(0.6, 0.9), float(cast.rng.uniform(0.75, 0.85))
    places = [
        (cast.width * (0.3 + 0.42 * i / 6) + 0.5 * near * (-1) ** i * (apart**i), near * apart**i)
        for i in range(count)
    ]
    people = []
    for number in range(count):
        times, xs, sizes = [0.0], [places[number][0]], [places[number][1]]
        for moved in range(number):
            at, (x, size) = step * (moved + 1), places[number - moved - 1]
            times += [at, at + 0.6]
            xs += [xs[-1], x]
            sizes += [sizes[-1], size]
        end = step * (number + 1)
        times += [end, end + 1.5]
        xs += [xs[-1], -1.3 * near]
        sizes += [sizes[-1], near]
        people.append(cast.someone(times, xs, sizes))
    return people, (), step * count + 2


def pillar(cast: Cast) -> Parts:
    """Somebody walks behind a pillar, for up to a second and a half, and on."""
    size, pace = cast.size(0.1, 0.6), float(cast.rng.uniform(2.5, 5))
    ends = [-1.2 * size, cast.width + 1.2 * size]
    seconds = (ends[1] - ends[0]) / (pace * size)
    seconds = min(seconds, 12.0)
    speed = (ends[1] - ends[0]) / seconds
    middle, half = cast.width / 2, min(speed * float(cast.rng.uniform(0.2, 0.7)), cast.width / 8)
    person = cast.someone([0, seconds], ends[:: cast.rng.choice([-1, 1])], [size, size])
    return [person], ((middle - half, middle + half),), seconds + 0.3


def turning(cast: Cast) -> Parts:
    """Somebody comes, turns round for some seconds, as at a door or a shelf, and faces the camera again."""
    size, x = cast.size(0.1, 0.9), cast.width * float(cast.rng.uniform(0.3, 0.7))
    away = 2 + float(cast.rng.uniform(0.5, 2.5))
    person = cast.someone([0, away + 3], [x, x], [size, size], ((2.0, away),))
    return [person], (), away + 3


def backs(cast: Cast) -> Parts:
    """One to four people who stand and walk, seen from behind only."""
    count, seconds, people = int(cast.rng.integers(1, 5)), 8.0, []
    for number in range(count):
        x = cast.width * (number + 0.5) / count
        to = x + float(cast.rng.uniform(-0.1, 0.1)) * cast.width
        sizes = [cast.size(), cast.size()]
        people.append(cast.someone([0, 4, seconds], [x, to, x], [*sizes, sizes[0]], ((0, seconds),)))
    return people, (), seconds


def staff(cast: Cast) -> Parts:
    """Somebody works at the till for a minute, looks up and down; one or two customers come and go."""
    seconds = 40.0
    size = cast.size(0.3, 0.7)
    clerk = cast.stander(cast.width * 0.25, seconds, size, ((12, 14), (24, 26.5)))
    customers = [cast.visit(3 + 12 * i, (0.6, 0.85)) for i in range(int(cast.rng.integers(1, 3)))]
    return [clerk, *customers], (), seconds


def poster(cast: Cast) -> Parts:
    """A face on the wall for five minutes, and a visitor."""
    size = cast.size(0.2, 0.7)
    seconds, x = 300.0, cast.width * 0.2
    hung = cast.someone([0, seconds], [x, x], [size, size], still=True)
    return [hung, cast.visit(2, (0.6, 0.85))], (), seconds


def out_of_sight(cast: Cast, *, returns: bool) -> Parts:
    """Somebody steps behind a nearer person; 2 to 8 s later they step out again, or somebody else does.

    The camera hangs at the height of the faces. Half of those who step out stand so close to the nearer one
    that their clothes are not seen; in half of the scenes with two they are dressed alike. In a third the
    nearer one leaves as they step out.
    """
    rng, near = cast.rng, cast.size(0.4, 0.9)
    size, hides = near * float(rng.uniform(0.6, 0.85)), cast.width / 2
    offset = near * float(rng.uniform(0.9, 1.2) if rng.random() < 0.5 else rng.uniform(1.5, 2.2))
    side, walk = float(rng.choice([-1, 1])), offset / (size * float(rng.uniform(1.5, 4)))
    leaves, away = float(rng.uniform(2.5, 4)), float(rng.uniform(2, 8))
    clothes = dressed(rng) if returns or rng.random() < 0.5 else uniformed(rng)
    there, behind = leaves + walk, leaves + walk + away
    stands = [hides + side * offset, hides + side * offset + size * float(rng.uniform(-0.4, 0.4))]
    times = [0.0, leaves, there, behind, behind + walk, behind + walk + float(rng.uniform(2.5, 4))]
    xs = [stands[0], stands[0], hides, hides, stands[1], stands[1]]
    seconds, lift = times[-1], 1.75 - (1.75 + float(rng.uniform(-0.2, 0.1))) * near / size
    spans = [slice(0, 6)] if returns else [slice(0, 3), slice(3, 6)]
    worn = [clothes, clothes if rng.random() < 0.5 else dressed(rng)]
    people = [
        cast.someone(times[span], xs[span], [size] * len(times[span]), clothes=own, lift=lift)
        for span, own in zip(spans, worn, strict=False)
    ]
    leaving = [0.0, behind - 0.5, behind + 2.5], [hides, hides, hides - side * cast.width]
    keys = leaving if rng.random() < 1 / 3 else ([0.0, seconds], [hides, hides])
    people.append(cast.someone(*keys, [near] * len(keys[0]), lift=0.0))
    return people, (), seconds + 0.5


def empty(rng: Rng) -> Retouch:
    """People as they are."""
    return both()


@dataclass(frozen=True, slots=True)
class Kind:
    """What happens, how the people look, and how bright the picture is."""

    parts: Callable[[Cast], Parts]
    look: Callable[[Rng], Retouch] = empty
    light: float = 1.0
    exposure: float = 1.0
    rates: tuple[int, ...] = RATES
    weight: int = 2


KINDS: dict[str, Kind] = {
    "visits": Kind(visits, weight=3),
    "crossing": Kind(crossing, weight=3),
    "queue": Kind(queue, weight=3),
    "pillar": Kind(pillar),
    "turning round": Kind(turning),
    "blurred": Kind(visits, blurred),
    "overexposed": Kind(visits, light=1.5, exposure=1.2),
    "dark": Kind(visits, light=0.8, exposure=0.4, weight=1),
    "masks": Kind(visits, masked),
    "sunglasses": Kind(visits, shaded),
    "backs": Kind(backs, weight=3),
    "staff": Kind(staff, rates=(3, 5), weight=1),
    "poster": Kind(poster, rates=(3,), weight=1),
}
"""Kinds of scenes; of each cycle of 27 scenes, `weight` are of the kind."""

HIDDEN: dict[str, Kind] = {
    "replaced": Kind(partial(out_of_sight, returns=False)),
    "returned": Kind(partial(out_of_sight, returns=True)),
}
"""Kinds beside the cycle, for `draw(number, kind)`: in doubt, either of the two is wrong."""

CYCLE = [name for name, kind in KINDS.items() for _ in range(kind.weight)]


def draw(number: int, kind: str = "") -> Scene:
    """Scene `number`, from 0 on, of its kind in the cycle or of another one."""
    kind = kind or CYCLE[number % len(CYCLE)]
    for attempt in range(50):
        scene = _draw(kind, np.random.default_rng((number, attempt)), number)
        if scene.clear:
            return scene
    raise RuntimeError(f"scene {number}: every one of 50 shows somebody for too short a time")


def _draw(name: str, rng: Rng, number: int) -> Scene:
    kind = (KINDS | HIDDEN)[name]
    width, height = SIZES[rng.integers(len(SIZES))]
    people, pillars, seconds = kind.parts(Cast(rng, width, height, kind.look, kind.light))
    rate = float(rng.choice(kind.rates))
    return Scene(name, width, height, rate, seconds, people, pillars, kind.exposure, number)
