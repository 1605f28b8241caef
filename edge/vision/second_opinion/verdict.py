"""Whether a track is a face: final once enough looks speak for it."""

from __future__ import annotations

import math

STEP = 2.0
"""How much one look counts at most, for or against, in logits: looks at one track err together."""

ENOUGH = 3.0
"""Logits that speak for a face from which on a track is one: two sure looks, or more of doubtful ones, as a
single picture may deceive."""

FLOOR = -4.0
"""Logits against a face beyond which nothing is added: who turns to the camera is a face four looks later."""

SURE = 0.99
"""No look is taken for surer than this, for or against."""


NEUTRAL = 2.95
"""Logits of a threshold at most, 0.95: with a higher one no look could speak for a face, or none against."""


class FaceVerdict:
    """Whether a track is a face: final once enough looks speak for it, so a visitor may turn away afterwards.

    Each look adds the logarithm of its odds of a face, over those of the threshold: Wald's sequential test
    (1945), with limits for looks that are alike.
    """

    def __init__(self, threshold: float) -> None:
        """threshold: how likely a look must show a face to speak for one, 0.05..0.95; beyond it, as these."""
        self._neutral = min(max(_logit(threshold), -NEUTRAL), NEUTRAL)
        self._evidence = 0.0
        self.is_face = False

    @property
    def doubted(self) -> bool:
        """Whether as much as can be speaks against a face."""
        return self._evidence <= FLOOR

    def add(self, likely: float) -> None:
        """Take one look at the track: how likely it shows a face, 0..1."""
        step = min(max(_logit(likely) - self._neutral, -STEP), STEP)
        self._evidence = max(self._evidence + step, FLOOR)
        self.is_face |= self._evidence >= ENOUGH


def _logit(likely: float) -> float:
    kept = min(SURE, max(1 - SURE, likely))  # in this order NaN is the least
    return math.log(kept / (1 - kept))
