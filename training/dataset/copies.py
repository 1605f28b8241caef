"""Pictures that show the same photo: found by a perceptual hash, and kept together.

The hash is a difference hash: whether each of 16 x 16 spots is lighter than its left neighbour. It survives
recompression, rescaling and changes of light.
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
people who look alike. Pairs wrongly kept together cost nothing but a little choice in the split."""

BLOCK = 256
"""Hashes compared with all the others at a time, so that the table of distances stays small."""

Hash = NDArray[np.uint64]


def difference_hash(image: Image) -> Hash:
    """The hash of a picture, uint8 (H, W, 3) BGR, as uint64 (4,)."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    spots = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(spots[:, 1:] > spots[:, :-1]).view(np.uint64)


def mirrored_hash(image: Image) -> Hash:
    """The hash of the picture mirrored left to right."""
    return difference_hash(np.asarray(cv2.flip(image, 1), np.uint8))


def near_groups(hashes: Hash, mirrored: Hash) -> NDArray[np.intp]:
    """Which pictures, of uint64 (N, 4) hashes, show the same photo: one number a picture, equal for those.

    Chains count: where A is near B and B near C, all three are together. Compares every pair: some seconds
    for 20,000 pictures, growing with the square of their number.
    """
    pairs = np.concatenate([np.zeros((0, 2), np.intp), *_near_pairs(hashes, mirrored)])
    count = len(hashes)
    graph = coo_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)


def _near_pairs(hashes: Hash, mirrored: Hash) -> list[NDArray[np.intp]]:
    found = []
    for start in range(0, len(hashes), BLOCK):
        block, rest = hashes[start : start + BLOCK], slice(start, None)
        for others in (hashes[rest], mirrored[rest]):
            found.append(np.argwhere(_distances(block, others) <= NEAR) + start)
    return found


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
