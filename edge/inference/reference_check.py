"""Compares a backend with float32 on ONNX Runtime, on drawn faces: no real picture ships with a bundle.

The faces are drawn from a seed: the same numbers give the same pictures, at any size of input. They need not
look like anybody, but the network must respond to them as to faces: the shipped model estimates ages from
2 to 30 for them, and 37 to 40 for white noise.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config import Precision
from edge.inference.backend import AgeBackend, BackendError
from edge.ops.reasons import BackendFault
from edge.types import AGES, Image

log = logging.getLogger(__name__)

REFERENCE_CROPS = 32
"""Crops in a comparison: a second of one core for the shipped model, on ONNX Runtime."""

_DRAWN = 192
"""Side in px at which faces are drawn, before they are resized to the model's input."""

_SKIN = ((236, 188, 160), (198, 144, 112), (141, 96, 70), (88, 58, 44))
_HAIR = ((30, 26, 24), (92, 62, 40), (172, 136, 88), (196, 194, 190))


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences between two runs of one model, over `crops` pictures.

    years: mean absolute difference of the expected ages. worst_years: the largest one. probability: the
    largest difference of a single probability, 0..1. finite: whether all values of both runs are numbers.
    """

    crops: int
    years: float
    worst_years: float
    probability: float
    finite: bool


TOLERANCE: dict[Precision, float] = {"fp32": 0.1, "fp16": 0.5, "int8": 2.0}
"""Largest mean difference in years between a backend's expected ages and those of float32 on ONNX Runtime.

The shipped variants differ by 0.09 (fp16) and 0.78 (int8) on ONNX Runtime; an engine adds about the same,
as it sums in another order. On 600 real faces int8 differs by 0.32: no drawn face was in the training data.
"""


def require_agreement(
    what: str, backend: AgeBackend, baseline: AgeBackend, size: int, precision: Precision
) -> None:
    """Compare `backend`, called `what` in messages, with float32 on ONNX Runtime, the `baseline`.

    Raises BackendError if the difference is above the tolerance of the precision; `backend` is closed then.
    """
    with ExitStack() as undo:
        undo.callback(backend.close)
        apart = compare(backend, baseline, reference_crops(size))
        require_close(what, apart, precision)
        undo.pop_all()
    log.info("%s: ages differ by %.2f years from float32 on the reference crops", what, apart.years)


def require_close(what: str, apart: Difference, precision: Precision) -> None:
    """Raise BackendError unless `apart` is within the tolerance; `what` was compared, for the message."""
    if not apart.years <= TOLERANCE[precision]:
        how = (
            f"ages differ by {apart.years:.2f} years"
            if apart.finite
            else "results are not finite, unlike those"
        )
        raise BackendError(
            BackendFault.WRONG,
            f"{what}: {how} from float32 on ONNX Runtime over {apart.crops} reference crops; "
            f"allowed for {precision}: at most {TOLERANCE[precision]}; it is not used",
        )


def reference_crops(size: int, count: int = REFERENCE_CROPS) -> Image:
    """`count` drawn faces, uint8 (count, size, size, 3) RGB, the same in every call."""
    drawn = [_face(np.random.default_rng([seed, 1])) for seed in range(count)]
    return np.stack([cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in drawn])


def compare(backend: AgeBackend, baseline: AgeBackend, crops: Image) -> Difference:
    """Run both on the same crops, in batches of a size that both accept."""
    step = min(backend.max_batch, baseline.max_batch)
    batches = [crops[i : i + step] for i in range(0, len(crops), step)]
    found, exact = (np.concatenate([one.infer(batch) for batch in batches]) for one in (backend, baseline))
    return difference(found, exact)


def difference(found: NDArray[np.float32], exact: NDArray[np.float32]) -> Difference:
    """Compare age distributions, (N, 101) each, of the same N crops."""
    apart = np.abs((found.astype(np.float64) - exact) @ np.arange(AGES))
    finite = bool(np.isfinite(found).all() and np.isfinite(exact).all())
    worst = float(apart.max()) if finite else float("inf")
    return Difference(
        crops=len(found),
        years=float(apart.mean()) if finite else float("inf"),
        worst_years=worst,
        probability=float(np.abs(found - exact).max()) if finite else float("inf"),
        finite=finite,
    )


def _face(rng: np.random.Generator) -> Image:
    """One face as a few shapes, lit from a side, blurred and with a sensor's noise; uint8 RGB."""
    side = _DRAWN
    picture = np.full((side, side, 3), rng.integers(40, 215) + rng.integers(-15, 16, 3), np.uint8)
    skin, hair = _shade(rng, _SKIN), _shade(rng, _HAIR)
    x, y = (int(side * rng.uniform(low, high)) for low, high in ((0.46, 0.54), (0.5, 0.56)))
    width, height = int(side * rng.uniform(0.31, 0.38)), int(side * rng.uniform(0.42, 0.5))
    _ellipse(picture, (x, y - side // 12), (int(width * 1.14), int(height * 1.08)), hair)
    _ellipse(picture, (x, y), (width, height), skin)
    _features(picture, rng, (x, y), skin, hair)
    for _ in range(int(rng.integers(0, 10))):
        left, top = x + int(side * rng.uniform(-0.26, 0.1)), y + int(side * rng.uniform(-0.36, 0.34))
        end = (left + int(side * rng.uniform(0.05, 0.2)), top + int(side * rng.uniform(-0.03, 0.03)))
        cv2.line(picture, (left, top), end, [0.8 * c for c in skin], 1, cv2.LINE_AA)
    light = np.linspace(rng.uniform(0.6, 1.0), rng.uniform(0.7, 1.2), side)[None, :, None]
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 2.5)).astype(np.float64)
    noisy = soft * light + rng.normal(0, rng.uniform(1, 5), picture.shape)
    return np.asarray(noisy.clip(0, 255), np.uint8)


def _features(
    picture: Image, rng: np.random.Generator, middle: tuple[int, int], skin: list[float], hair: list[float]
) -> None:
    (x, y), side = middle, _DRAWN
    dark, lips = [0.72 * c for c in skin], [0.8 * skin[0], 0.55 * skin[1], 0.55 * skin[2]]
    for away in (-1, 1):
        eye = (x + away * side // 6, y - side // 12)
        _ellipse(picture, eye, (side // 14, side // 26), [225, 222, 218])
        cv2.circle(picture, eye, side // 32, [52, 38, 30], -1, cv2.LINE_AA)
        brow = (eye[0], eye[1] - side // 18)
        cv2.ellipse(picture, brow, (side // 11, side // 32), 0, 180, 360, hair, int(rng.integers(2, 6)))
    cv2.line(picture, (x, y - side // 24), (x - side // 34, y + side // 9), dark, 2, cv2.LINE_AA)
    mouth = int(side * rng.uniform(0.09, 0.15)), int(side * rng.uniform(0.012, 0.05))
    _ellipse(picture, (x, y + int(0.23 * side)), mouth, lips)


def _shade(rng: np.random.Generator, palette: tuple[tuple[int, int, int], ...]) -> list[float]:
    return [float(c) for c in np.array(palette[rng.integers(len(palette))]) * rng.uniform(0.85, 1.1)]


def _ellipse(picture: Image, middle: tuple[int, int], radii: tuple[int, int], colour: list[float]) -> None:
    cv2.ellipse(picture, middle, radii, 0, 0, 360, colour, -1, cv2.LINE_AA)
