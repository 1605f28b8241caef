"""A scene composed from public-domain portraits: the demo's camera, and a clip with known ground truth.

Visitors enter from the sides, approach, stand, cross each other and leave. The list of visits and the seed
determine every byte. portraits/README.md lists the photographs, their sources and terms, and how they were
cut out.

The ages at the time of the photographs (portraits/README.md explains their sources): the
astronaut Collins 41 or 42, Commodore Hopper 77 or 78, President Obama 51, Vice President Biden 67.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

from edge.errors import OutsideError
from edge.types import Image

WIDTH, HEIGHT = 1280, 720
CAPTION = "composed scene: public-domain portraits, no camera"

_FOLDER = Path(__file__).parent / "portraits"
# One camera for all: a face of width s has its middle at _EYE_LEVEL + _DROP * s, lower where it is nearer.
_EYE_LEVEL = 96
_DROP = 2.0
_NOISE_SIGMA = 4.0  # grey levels: a sensor in good light, and enough to outlive the compression
_NOISE_MARGIN = 97  # the noise is one larger sheet, laid at another place in every frame


@dataclass(frozen=True, slots=True)
class Portrait:
    """A cut-out in portraits/: where its face is. All in pixels of the file, width of the face's box."""

    file: str
    x: float
    y: float
    width: float


PORTRAITS = {
    "collins": Portrait("collins.png", 285, 181, 150),
    "hopper": Portrait("hopper.png", 260, 228, 200),
    "obama": Portrait("obama.png", 278, 184, 200),
    "biden": Portrait("biden.png", 324, 183, 200),
}


@dataclass(frozen=True, slots=True)
class Key:
    """Where a visitor is at `t` seconds: `x` is the face's middle, `size` its box's width, both in pixels."""

    t: float
    x: float
    size: float


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor's path through the picture: from the first key to the last, smooth between them."""

    portrait: str
    keys: tuple[Key, ...]
    mirrored: bool = False
    brightness: float = 1.0

    @property
    def start(self) -> float:
        """When the visitor starts, still outside the picture, in seconds of the scene."""
        return self.keys[0].t

    @property
    def end(self) -> float:
        """When the visitor has left the picture, in seconds of the scene."""
        return self.keys[-1].t

    def at(self, t: float) -> Face | None:
        """The face at `t` seconds, None before and after the visit."""
        if not self.start <= t <= self.end:
            return None
        times = [key.t for key in self.keys]
        way = PchipInterpolator(times, [(key.x, math.log(key.size)) for key in self.keys])
        x, log_size = way(t)
        size = math.exp(log_size)
        step = 0.03 * size * math.sin(2 * math.pi * 1.4 * (t - self.start))
        return Face(float(x), _EYE_LEVEL + _DROP * size + step, size)


@dataclass(frozen=True, slots=True)
class Face:
    """The truth of one face in one frame: its middle and the side of its square box, in pixels."""

    x: float
    y: float
    size: float

    @property
    def inside(self) -> bool:
        """The whole box is in the picture."""
        half = self.size / 2
        return half <= self.x <= WIDTH - half and half <= self.y <= HEIGHT - half


def _visit(
    portrait: str, *keys: tuple[float, float, float], mirrored: bool = False, light: float = 1
) -> Visit:
    return Visit(portrait, tuple(Key(*key) for key in keys), mirrored, light)


# The same portrait is never twice in the picture, and four seconds or more lie between two of its visits.
# Nobody enters where somebody of similar size has just left: a tracker may join the two.
VISITS = (
    _visit("obama", (0.4, -90, 50), (3.0, 380, 90), (5.0, 560, 150), (7.0, 560, 150), (9.6, -320, 170)),
    _visit("collins", (2.5, 1340, 30), (5.5, 1080, 46), (8.6, 860, 66), (11.0, 420, 120), (12.5, 420, 120),
           (15.0, -300, 140), light=0.96),
    _visit("hopper", (10.0, 1480, 90), (13.0, 860, 150), (15.0, 700, 200), (17.5, 700, 200),
           (20.5, -420, 200)),
    _visit("biden", (13.8, -80, 40), (16.0, 200, 76), (18.4, 480, 95), (21.0, 1000, 130),
           (22.5, 1000, 130), (25.0, 1640, 160), light=1.1),
    _visit("collins", (21.6, -220, 100), (23.8, 380, 135), (25.2, 380, 135), (29.0, 1600, 140),
           mirrored=True),
    _visit("obama", (24.0, 1330, 30), (27.0, 960, 58), (29.5, 800, 90), (32.0, 720, 200), (33.5, 720, 200),
           (36.0, 1680, 200), mirrored=True, light=0.93),
    _visit("hopper", (29.0, -80, 40), (32.0, 240, 86), (36.0, 560, 104), (40.0, 1080, 116),
           (43.0, 1520, 124), mirrored=True, light=1.06),
    _visit("biden", (33.5, -240, 100), (37.0, 400, 140), (39.5, 640, 165), (41.0, 640, 165),
           (44.2, -340, 170), mirrored=True),
)  # fmt: skip


class Scene:
    """The visits, their prepared pictures, the backdrop and the noise. `compose` gives any of its frames."""

    def __init__(self, visits: Sequence[Visit] = VISITS, seed: int = 7) -> None:
        self.visits = tuple(visits)
        self.seed = seed
        self.duration = max(visit.end for visit in self.visits) + 0.8
        self._figures = [
            Figure(PORTRAITS[visit.portrait], mirrored=visit.mirrored, brightness=visit.brightness)
            for visit in self.visits
        ]
        self._backdrop = backdrop()
        self._lighter, self._darker = _noise(seed)
        self._caption = _caption()

    def faces(self, t: float) -> dict[int, Face]:
        """The truth at `t` seconds: the face of each visit under way, by its index in `visits`."""
        found = ((index, visit.at(t)) for index, visit in enumerate(self.visits))
        return {index: face for index, face in found if face is not None}


def compose(scene: Scene, t: float) -> Image:
    """The frame at `t` seconds: uint8 (720, 1280, 3) BGR. Nearer visitors cover others."""
    frame = scene._backdrop.copy()
    faces = scene.faces(t)
    for index in sorted(faces, key=lambda index: faces[index].size):
        scene._figures[index].paint(frame, faces[index])
    rng = np.random.default_rng((scene.seed, round(t * 1000)))
    top, left = rng.integers(0, _NOISE_MARGIN, 2)
    window = np.s_[top : top + HEIGHT, left : left + WIDTH]
    cv2.add(frame, scene._lighter[window], dst=frame)
    cv2.subtract(frame, scene._darker[window], dst=frame)
    plate = scene._caption
    frame[HEIGHT - len(plate) :, : plate.shape[1]] = plate
    return frame


def write_clip(
    scene: Scene, path: Path, fps: float = 12.0, progress: Callable[[float], None] | None = None
) -> int:
    """Write the whole scene as an MPEG-4 clip; return the number of its visitors.

    progress: called with the finished share, 0..1, after every frame. Raises OutsideError where the clip
    cannot be written.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise OutsideError(f"{path}: the scene cannot be written; the folder must exist and be writable")
    frames = math.ceil(scene.duration * fps)
    try:
        for index in range(frames):
            writer.write(compose(scene, index / fps))
            if progress is not None:
                progress((index + 1) / frames)
    finally:
        writer.release()
    return len(scene.visits)


class Figure:
    """One portrait's picture at halving sizes, colours multiplied by alpha: uint8 BGRA."""

    def __init__(
        self,
        portrait: Portrait,
        *,
        mirrored: bool = False,
        brightness: float = 1.0,
        retouch: Callable[[Image, Portrait], None] = lambda picture, portrait: None,
    ) -> None:
        """retouch: changes the cut-out, uint8 (H, W, 4) BGRA, in place; colours not multiplied by alpha."""
        picture = cv2.imread(str(_FOLDER / portrait.file), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise OutsideError(f"the portrait {_FOLDER / portrait.file} cannot be read")
        retouch(picture, portrait)
        alpha = picture[..., 3:].astype(np.float32) / 255
        picture[..., :3] = np.clip(picture[..., :3] * brightness, 0, 255) * alpha
        self._x, self._y, self._width = portrait.x, portrait.y, portrait.width
        if mirrored:
            picture = cv2.flip(picture, 1)
            self._x = picture.shape[1] - portrait.x
        self._levels = [picture]
        while len(self._levels) < 4:
            self._levels.append(cv2.pyrDown(self._levels[-1]))

    def paint(self, frame: Image, face: Face) -> None:
        """Draw the picture into `frame` so that its face covers `face`."""
        scale = face.size / self._width
        left, top = face.x - self._x * scale, face.y - self._y * scale
        level = min(max(int(-math.log2(scale)), 0), len(self._levels) - 1)
        picture, scale = self._levels[level], scale * 2**level
        height, width = picture.shape[:2]
        x0, x1 = max(math.floor(left), 0), min(math.ceil(left + width * scale), frame.shape[1])
        y0, y1 = max(math.floor(top), 0), min(math.ceil(top + height * scale), frame.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        placed = np.array([[scale, 0, left - x0], [0, scale, top - y0]])
        patch = cv2.warpAffine(picture, placed, (x1 - x0, y1 - y0))
        through = cv2.cvtColor(255 - patch[..., 3], cv2.COLOR_GRAY2BGR)
        behind = cv2.multiply(frame[y0:y1, x0:x1], through, scale=1 / 255)
        frame[y0:y1, x0:x1] = cv2.add(behind, cv2.cvtColor(patch, cv2.COLOR_BGRA2BGR))


def backdrop() -> Image:
    """A plain room: a warm wall lit from above, a skirting board, a floor that is brighter in front."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = np.array([206, 216, 222], np.float32) * (1.06 - 0.16 * y[..., None] / HEIGHT)
    floor = np.array([150, 168, 182], np.float32) * (0.86 + 0.2 * y[..., None] / HEIGHT)
    edge, skirting = 470, 14
    room = np.where(y[..., None] < edge, wall, floor)
    room[edge - skirting : edge] *= 0.9
    room[edge : edge + 3] *= 0.8
    vignette = 1.0 - 0.16 * (((x - WIDTH / 2) / WIDTH) ** 2 + ((y - HEIGHT / 2) / HEIGHT) ** 2)
    lit: Image = np.clip(room * vignette[..., None], 0, 255).astype(np.uint8)
    return lit


def _noise(seed: int) -> tuple[Image, Image]:
    """Sensor noise as its positive and its negative part, each uint8 and larger than a frame."""
    shape = (HEIGHT + _NOISE_MARGIN, WIDTH + _NOISE_MARGIN, 3)
    noise = np.random.default_rng(seed).normal(0, _NOISE_SIGMA, shape).round()
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)


def _caption() -> Image:
    """The caption of every frame, light on a dark plate."""
    font, size, pad = cv2.FONT_HERSHEY_SIMPLEX, 0.55, 8
    (width, height), below = cv2.getTextSize(CAPTION, font, size, 1)
    plate = np.full((height + below + 2 * pad, width + 2 * pad, 3), 60, np.uint8)
    cv2.putText(plate, CAPTION, (pad, pad + height), font, size, (240, 240, 240), 1, cv2.LINE_AA)
    return plate
