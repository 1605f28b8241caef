"""Pictures that show the same photo: found by a perceptual hash, confirmed by their faces, kept together.

The hash is a difference hash: whether each of 16 x 16 spots is lighter than its left neighbour. It survives
recompression, rescaling and changes of light. It also finds different people before the same plain wall, so
the details of the two faces decide.
"""

from __future__ import annotations

from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from edge.types import Image

SIDE = 16
WORDS = SIDE * SIDE // 64
"""64-bit words of a hash."""

NEAR = 26
"""Bits, of 256, in which two hashes of one photo differ at most. Among 21,000 aligned faces, the pairs of
up to 24 bits looked at were the same photo recompressed, rescaled or mirrored; from 30 bits most were two
people who look alike."""

SAME_FACE = 0.81
"""Least correlation of the details of two faces of one photo. Of 595 pairs of UTKFace and 7 of All-Age-Faces
within `NEAR` bits, those of one photo had 0.85 to 1.00, and three pairs of two people 0.71 and 0.72.
Of 88 pairs before one wall (Face Research Lab), different people had 0.09 to 0.77, one person 0.80."""

FACE = 96
"""Side in px to which a face is scaled before its details are compared."""

CENTRE = 72
"""Side in px of the middle of the face, without hair and background."""

SLACK = 8
"""The largest shift in px between two crops of one photo."""

COARSE = 4.0
"""Standard deviation in px of the blur that is subtracted: light and the shape of a head are not details."""

BLOCK = 256
"""Hashes compared with all the others at a time, so that the table of distances stays small."""

Hash = NDArray[np.uint64]
Box = tuple[float, float, float, float]
Pairs = NDArray[np.intp]
"""(M, 3): the indices of two pictures, and 1 where the second one is mirrored."""


def difference_hash(image: Image) -> Hash:
    """The hash of a picture, uint8 (H, W, 3) BGR, as uint64 (4,)."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    spots = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(spots[:, 1:] > spots[:, :-1]).view(np.uint64)


def mirrored_hash(image: Image) -> Hash:
    """The hash of the picture mirrored left to right."""
    return difference_hash(np.asarray(cv2.flip(image, 1), np.uint8))


def near_pairs(hashes: Hash, mirrored: Hash) -> Pairs:
    """The pairs of pictures, of uint64 (N, 4) hashes, that may show the same photo, each pair once.

    Compares every pair: some seconds for 20,000 pictures, growing with the square of their number.
    """
    found = [np.zeros((0, 3), np.intp)]
    for start in range(0, len(hashes), BLOCK):
        block, rest = hashes[start : start + BLOCK], slice(start, None)
        for flip, others in enumerate((hashes[rest], mirrored[rest])):
            near = np.argwhere(_distances(block, others) <= NEAR) + start
            near = near[near[:, 0] < near[:, 1]]
            found.append(np.column_stack([near, np.full(len(near), flip)]))
    return np.concatenate(found)


def grouped(pairs: Pairs, count: int) -> NDArray[np.intp]:
    """One number a picture, (count,), equal for those that pairs join.

    Chains count: where A is paired with B and B with C, all three are together.
    """
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)


def same_photo(image: Image, other: Image, box: Box | None) -> bool:
    """Whether two pictures of the same framing, uint8 (H, W, 3) BGR of any sizes, show the same face.

    box: of the face in `image`, in px; None takes the whole picture. Compares the details in the middle of
    the face by normalised cross-correlation, over small shifts.
    """
    other = np.asarray(cv2.resize(other, image.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
    a, b = (_details(one, box) for one in (image, other))
    inner = b[SLACK:-SLACK, SLACK:-SLACK]
    return bool(cv2.matchTemplate(a, inner, cv2.TM_CCOEFF_NORMED).max() >= SAME_FACE)


def _details(image: Image, box: Box | None) -> NDArray[np.float32]:
    """The middle of the face in grey without its coarse shape, float32 (CENTRE, CENTRE)."""
    height, width = image.shape[:2]
    left, top, right, bottom = box or (0, 0, width, height)
    scale = FACE / max(min(max(right - left, bottom - top), width, height), 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA)
    middle = (left + right) / 2 * scale, (top + bottom) / 2 * scale
    face = cv2.getRectSubPix(grey, (CENTRE, CENTRE), middle).astype(np.float32)
    return np.asarray(face - cv2.GaussianBlur(face, (0, 0), COARSE), np.float32)


def _distances(a: Hash, b: Hash) -> NDArray[np.uint16]:
    """Differing bits of every pair, (len(a), len(b))."""
    bits = np.zeros((len(a), len(b)), np.uint16)
    for word in range(WORDS):
        bits += np.bitwise_count(a[:, word, None] ^ b[None, :, word])
    return bits


def members(groups: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The indices of each group that has several, in order."""
    order = np.argsort(groups, kind="stable")
    together = (np.array(list(same)) for _, same in groupby(order, key=lambda i: groups[i]))
    return [group for group in together if len(group) > 1]
