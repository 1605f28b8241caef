"""The data set as one table with a row for each usable picture, from which the report is made."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.brackets import DEFAULT_BRACKETS, bracket_of, parse_brackets
from edge.preprocess import resize
from edge.types import Image
from edge.vision.crops import SHARPNESS_SIZE
from training.dataset import Prepared, Survey
from training.dataset.catalogue import interval


def tabulate(found: Survey, prepared: Prepared) -> pd.DataFrame:
    """A row for each crop of `prepared`, in its order.

    low, high, age: years; age is the middle. bracket: ordered; the data's own groups where it has no years,
    else the default brackets. split. width, height, face: px, of the picture and the face's box (NaN without
    a face). sharpness: variance of the Laplacian at 64 px; light: mean grey level, 0..255, both of the crop.
    Every trait has a column of its own, named `trait:` and its name.
    """
    looks = {one.key: one.look for one in found.seen}
    seen = [looks[key] for key in prepared.keys.tolist()]
    greys = [measure(crop) for crop in prepared.crops]
    columns = {
        "low": prepared.low,
        "high": prepared.high,
        "age": (prepared.low + prepared.high) / 2,
        "bracket": brackets(prepared.low, prepared.high),
        "split": prepared.split,
        "width": [look.width for look in seen],
        "height": [look.height for look in seen],
        "face": [_side(look.box) for look in seen],
        "sharpness": [sharpness for sharpness, _ in greys],
        "light": [light for _, light in greys],
    }
    traits = {f"trait:{name}": values for name, values in prepared.traits.items()}
    return pd.DataFrame(columns | traits)


def measure(crop: Image) -> tuple[float, float]:
    """Sharpness and light of a crop, uint8 (S, S, 3) RGB, measured as the box judges a face's quality."""
    grey = cv2.cvtColor(resize(np.ascontiguousarray(crop), SHARPNESS_SIZE), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()), float(grey.mean())


def brackets(low: NDArray[np.float32], high: NDArray[np.float32]) -> pd.Categorical:
    """The bracket of each interval of ages, by its middle; or the intervals themselves if all are groups."""
    pairs = list(zip(low.tolist(), high.tolist(), strict=True))
    if all(a < b for a, b in pairs):
        order = [interval(*pair) for pair in sorted(set(pairs))]
        return pd.Categorical([interval(*pair) for pair in pairs], order, ordered=True)
    known = parse_brackets(DEFAULT_BRACKETS)
    labels = [bracket_of((a + b) / 2, known).label for a, b in pairs]
    return pd.Categorical(labels, list(DEFAULT_BRACKETS), ordered=True)


def _side(box: tuple[float, float, float, float] | None) -> float:
    return max(box[2] - box[0], box[3] - box[1]) if box else np.nan
