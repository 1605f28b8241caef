"""Pictures without colour, as of a camera in infrared, in the tone of skin before they are searched.

MediaPipe's networks learnt from colour: in grey they miss faces that are small or out of focus. The tone is
strongest in the middle greys, where faces are; white walls and dark hair keep theirs.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge.types import Image

STEP = 16
"""Every such pixel in both directions is looked at for colour."""

COLOURLESS = 12
"""Levels by which blue and red may differ from green, together: compression adds a few to a grey picture."""

BRIGHT, LEAST = 100, 4
"""A picture darker than `BRIGHT` on average may differ by proportionally less, but by `LEAST`: its colours
are as weak as its light. At a quarter of their light six of 12 recordings in colour were grey otherwise."""

TEXT = 0.05
"""Share of the pixels that may have more: a camera writes the time in colour. Of 12 recordings in colour
each picture has 0.28 or more, one in grey none."""

RED, BLUE = 0.1, 0.08
"""Shares of the range by which red is raised and blue lowered at the middle grey. With more, more faces are
found on some recordings, and fewer before bright walls."""


def is_grey(image: Image) -> bool:
    """Whether a picture, uint8 (H, W, 3), has no colour."""
    looked_at = image[STEP // 2 :: STEP, STEP // 2 :: STEP].astype(np.int16)
    blue, green, red = (looked_at[..., channel] for channel in range(3))
    if not green.size:
        return False
    most = np.clip(COLOURLESS * green.mean() / BRIGHT, LEAST, COLOURLESS)
    return bool((np.abs(blue - green) + np.abs(red - green) > most).mean() <= TEXT)


def toned(image: Image) -> Image:
    """A grey picture, uint8 (H, W, 3), as bright as it is, in the tone of skin, BGR."""
    return np.asarray(cv2.LUT(image, _TONES), np.uint8)


def _tones() -> Image:
    """The colour, BGR, of each grey level, uint8 (1, 256, 3): its luma (ITU-R BT.601) is that level."""
    level = np.arange(256.0)
    middle = 4 * level * (1 - level / 255)
    blue, red = -BLUE * middle, RED * middle
    luma = 0.114 * blue + 0.299 * red
    tones = np.stack([level + blue - luma, level - luma, level + red - luma], axis=1)
    return np.clip(np.rint(tones), 0, 255).astype(np.uint8)[None]


_TONES = _tones()
