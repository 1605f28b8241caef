"""MediaPipe's two face networks: their files, and where they look.

They came inside the mediapipe 0.10.21 wheel (Apache-2.0, `edge/models/face/LICENSE`); newer wheels hold none.
`far` finds faces across a room, `near` finds them within about two metres. `make detectors` converts both to
ONNX.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.inference.backend import Graph

FOLDER = Path(str(resources.files("edge"))) / "models" / "face"

Range = Literal["far", "near"]

OUTPUTS = ("boxes", "scores")
"""Of the ONNX graphs, in this order: 16 numbers of each anchor, in the order of `Anchors`, then a logit of
each; see `boxes.Answer`."""

NUMBERS = 17
"""Of each anchor in both outputs."""

LOWEST_SCORE = 0.05
"""Score from which on the second opinion reports a face: a poor score is of use to it as well."""

MAX_BATCH = 16
"""Pictures that are looked at together at most, where batches gain: those of a few cameras' frames."""

File = tuple[str, str]
"""A name in `FOLDER`, and the SHA-256 of what it holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Where the boxes of a network are, in the picture and in its output `boxes`.

    middles: float32 (A, 2), the middles of the cells, x, y in 0..1 of the picture. shape: (P, 16, Q) of the
    output. part, cell: (A,), where in P and Q the numbers of each are.
    """

    middles: NDArray[np.float32]
    shape: tuple[int, int, int]
    part: NDArray[np.intp]
    cell: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.middles)

    def numbers(self, raw: NDArray[np.float32], some: NDArray[np.intp]) -> NDArray[np.float32]:
        """The 16 numbers of some of the boxes, (N, 16), from all of them in any shape."""
        found: NDArray[np.float32] = raw.reshape(self.shape)[self.part[some], :, self.cell[some]]
        return found


@dataclass(frozen=True, slots=True)
class Network:
    """A single-shot detector for square pictures.

    size: side of its picture in pixels. grids: cells on a side and boxes a cell, of each grid of anchors.
    fold: the one grid comes in fold x fold parts, of every fold-th column and row, with the cells last: to
    put them in order takes longer than to look up the few that are likely.
    """

    size: int
    grids: tuple[tuple[int, int], ...]
    mediapipe: File
    onnx: File
    fold: int = 1

    def anchors(self) -> Anchors:
        """The boxes' places, one after the other in the order of the scores."""
        middles = np.concatenate([_middles(cells, boxes) for cells, boxes in self.grids])
        count = len(middles)
        if self.fold == 1:
            return Anchors(middles, (count, NUMBERS - 1, 1), np.arange(count), np.zeros(count, np.intp))
        side = self.grids[0][0]
        y, x = np.divmod(np.arange(count), side)
        part = y % self.fold * self.fold + x % self.fold
        cell = y // self.fold * (side // self.fold) + x // self.fold
        return Anchors(middles, (self.fold**2, NUMBERS - 1, count // self.fold**2), part, cell)


def _middles(cells: int, boxes: int) -> NDArray[np.float32]:
    y, x = np.mgrid[:cells, :cells].reshape(2, -1)
    middles = (np.stack([x, y], axis=1) + 0.5) / cells
    return np.repeat(middles, boxes, axis=0).astype(np.float32)


NETWORKS: dict[Range, Network] = {
    "far": Network(
        size=192,
        grids=((48, 1),),
        fold=2,
        mediapipe=(
            "face_detection_full_range_sparse.tflite",
            "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        ),
        onnx=(
            "face_detection_full_range.onnx",
            "46050117373fc9653e9c4c06f64efa9a37471095af26b4fcbcc37b1cb8ef204d",
        ),
    ),
    "near": Network(
        size=128,
        grids=((16, 2), (8, 6)),
        mediapipe=(
            "face_detection_short_range.tflite",
            "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        ),
        onnx=(
            "face_detection_short_range.onnx",
            "1ae612e32f7112f176bd9cfe3ae26d836c6e313af205c1077793aba54774664c",
        ),
    ),
}
"""Sizes and grids as in MediaPipe's `face_detection_*_range` graphs."""


def graph_of(range_: Range) -> Graph:
    """A network's ONNX graph, as engines are built of it. Raises ConfigurationError as `read_file`."""
    network = NETWORKS[range_]
    path = checked(*network.onnx)
    anchors = network.anchors()
    boxes = anchors.shape if network.fold > 1 else anchors.shape[:2]
    outputs = dict(zip(OUTPUTS, (boxes, (len(anchors), 1)), strict=True))
    return Graph(path, network.onnx[1], "fp32", network.size, outputs, _no_numbers)


def _no_numbers(found: NDArray[np.float32]) -> str:
    return "" if np.isfinite(found).all() else "values that are no numbers"


def checked(name: str, sha256: str) -> Path:
    """The path of the file `name` of `FOLDER`. Raises ConfigurationError if it is not the shipped one."""
    read_file(name, sha256)
    return FOLDER / name


def read_file(name: str, sha256: str) -> bytes:
    """What the file `name` of `FOLDER` holds. Raises ConfigurationError if it is not the shipped one."""
    path = FOLDER / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}; install the package again"
        ) from None
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ConfigurationError(
            f"{path}: its SHA-256 is {found}, expected {sha256}; install the package again"
        )
    return content
