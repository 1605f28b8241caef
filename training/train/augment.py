"""Augmentation: makes photos look like a store camera's: small, blurred, dim, compressed, tilted."""

from __future__ import annotations

import cv2
import numpy as np

from edge.preprocess import resize
from edge.types import Image
from training.train.config import AugmentSettings

Random = np.random.Generator


def augment(crop: Image, settings: AugmentSettings, size: int, random: Random) -> Image:
    """One random version of a square RGB crop, uint8 (S, S, 3), as uint8 (size, size, 3).

    In the order in which light, lens, sensor and encoder act; the last step is the daemon's own resizing.
    """
    image = _wall(crop, settings, random)
    image = _frame(image, settings, random)
    image = _light(image, settings, random)
    image = _cover(image, settings, random)
    image = _shrink(image, settings, size, random)
    image = _blur(image, settings, random)
    image = _sharpen(image, settings, random)
    image = _compress(image, settings, random)
    return resize(image, size)


def blend(image: Image, other: Image, share: float) -> Image:
    """`share` of `other` and the rest of `image`, both uint8 (S, S, 3)."""
    return np.asarray(cv2.addWeighted(image, 1 - share, other, share, 0), np.uint8)


def _wall(crop: Image, settings: AugmentSettings, random: Random) -> Image:
    """Put a plain wall, with light from one side, round an oval about the face: a wall tells no age."""
    if not settings.wall or random.random() >= settings.wall:
        return crop
    side = crop.shape[0]
    axes = random.uniform((0.30, 0.42), (0.46, 0.60)) * side
    inside = np.zeros((side, side), np.float32)
    centre = (side // 2, side // 2)
    cv2.ellipse(inside, (centre, (2 * float(axes[0]), 2 * float(axes[1])), 0), 1.0, cv2.FILLED)
    inside = cv2.GaussianBlur(inside, (0, 0), random.uniform(0.01, 0.05) * side)[..., None]
    colour = random.uniform(0, 255) + random.normal(0, 25, 3)
    left, right = random.normal(0, 20, 2)
    wall = colour + np.linspace(left, right, side)[None, :, None]
    return np.asarray(np.clip(crop * inside + wall * (1 - inside), 0, 255), np.uint8)


def _frame(crop: Image, settings: AugmentSettings, random: Random) -> Image:
    """Rotate, scale, shift and mirror; beyond the border the edge is repeated, as on a box."""
    side = crop.shape[0]
    if random.random() < settings.flip:
        crop = np.asarray(cv2.flip(crop, 1), np.uint8)
    turn = float(random.normal(0, settings.rotate))
    zoom = float(np.exp(random.normal(0, settings.zoom)))
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn, zoom)
    matrix[:, 2] += random.normal(0, settings.shift * side, 2)
    moved = cv2.warpAffine(crop, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _light(image: Image, settings: AugmentSettings, random: Random) -> Image:
    """Gain, gamma, contrast and a tint, by one table of 256 values per channel; some pictures become grey."""
    gain, gamma, contrast = np.exp(random.normal(0, settings.light, 3))
    tint = np.exp(random.normal(0, settings.light / 4, 3))
    level = (np.arange(256)[:, None] / 255) ** gamma * gain * tint
    level = (level - 0.5) * contrast**0.5 + 0.5
    table = np.clip(np.rint(level * 255), 0, 255).astype(np.uint8)[:, None]
    image = np.asarray(cv2.LUT(image, table), np.uint8)
    if random.random() < settings.grey:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    return image


def _cover(image: Image, settings: AugmentSettings, random: Random) -> Image:
    """Cover a part with one colour, as a hand, a mask or another person does."""
    if random.random() >= settings.erase:
        return image
    side = image.shape[0]
    height, width = (random.uniform(0.1, 0.45, 2) * side).astype(int)
    top, left = random.integers(0, side - height + 1), random.integers(0, side - width + 1)
    image = image.copy()
    image[top : top + height, left : left + width] = random.integers(0, 256, 3)
    return image


def _shrink(image: Image, settings: AugmentSettings, size: int, random: Random) -> Image:
    """Shrink to the size that a face has at a distance; small sizes are as likely as large ones."""
    if random.random() >= settings.small:
        return image
    smallest = min(settings.smallest, size)
    return resize(image, round(float(np.exp(random.uniform(np.log(smallest), np.log(size))))))


def _blur(image: Image, settings: AugmentSettings, random: Random) -> Image:
    """Blur as out of focus or by motion, by some pixels, independent of the picture's size."""
    if random.random() >= settings.blur:
        return image
    reach = image.shape[0] / 64
    if random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.0) * reach), np.uint8)
    length = max(round(random.uniform(1, 4) * reach), 1)
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = random.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    ends = [tuple(np.round(length + sign * step).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _sharpen(image: Image, settings: AugmentSettings, random: Random) -> Image:
    """Sharpen as cameras do by themselves: add up to once what a blur of some pixels takes away."""
    if not settings.sharpen or random.random() >= settings.sharpen:
        return image
    reach = image.shape[0] / 64
    amount, soft = random.uniform(0, 1), cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.0) * reach)
    return np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), np.uint8)


def _compress(image: Image, settings: AugmentSettings, random: Random) -> Image:
    if random.random() >= settings.compress:
        return image
    quality = int(random.integers(25, 91))
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
