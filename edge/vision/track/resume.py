"""Who is found again late: a track that was lost goes on as one that began at its place.

Who steps out from behind somebody shows the face first, half hidden and smaller, so that it starts a track.
Once the clothes were seen for a moment, that becomes the track that was lost there in the same clothes.
"""

from __future__ import annotations

import numpy as np

from edge.vision.track.association import JUMP_GROWTH, TURN_WITHIN
from edge.vision.track.life import NEVER, NO_FACE
from edge.vision.track.motion import Bools
from edge.vision.track.state import Tracks, micros

LATE = 2.0
"""Face sizes from where a lost track was seen last within which another that began there later, in the same
clothes, is the same visitor: 1.75 to 2.25 give nearly the same counts on recordings and drawn scenes."""

LATE_AT_ONCE = 3.0
"""The same where it began within TURN_WITHIN of that: nobody else comes so soon in such clothes."""

LATE_GROWTH = 0.7
"""E-folds by which the sides of the two faces may differ: one may have been half hidden."""

LATE_SIGHTS = 2
"""Sights of the clothes of the newer track from which on they are compared, once."""


def resume_lost(tracks: Tracks) -> Bools:
    """Let lost tracks go on as newer ones that resume them; which those are, (N,), which end by it."""
    over = np.zeros(len(tracks), np.bool_)
    new = ~tracks.tentative & (tracks.life.face != NO_FACE) & ~tracks.life.compared
    for row in np.flatnonzero(new & (tracks.clothes.sights >= LATE_SIGHTS)).tolist():
        tracks.life.compared[row] = True
        found = np.flatnonzero(_may_resume(tracks, row))
        if len(found):
            _replace(tracks, int(found[tracks.life.last_seen[found].argmax()]), row)
            over[row] = True
    return over


def _may_resume(tracks: Tracks, row: int) -> Bools:
    """Which tracks, lost before the newer one of this row began and since, it may resume, (N,).

    They wear the same, are near enough, and the newer one was half hidden when it began, or nothing was seen
    of the clothes.
    """
    life = tracks.life
    began = life.began[row][None]
    apart = tracks.motion.apart(began, LATE_GROWTH)[:, 0]
    if life.dressed[row]:  # then all was known of a face of the same size, and it fitted none
        apart[np.isfinite(tracks.motion.apart(began, JUMP_GROWTH)[:, 0])] = np.inf
    gap = life.first_seen[row] - life.last_seen
    reach = np.where(gap <= micros(TURN_WITHIN), LATE_AT_ONCE, LATE)
    return np.asarray(tracks.lost & (gap > 0) & tracks.clothes.alike(row) & (apart < reach))


def _replace(tracks: Tracks, lost: int, row: int) -> None:
    """Let a lost track go on as the one of this row has gone on, which resumes it."""
    life = tracks.life
    life.face[lost], life.last_seen[lost] = life.face[row], life.last_seen[row]
    life.absent[lost], life.hidden[lost], life.unproven_from[lost] = 0, False, NEVER
    life.resumes[row] = life.id[lost]
    tracks.motion.copy(row, lost)
    tracks.blocks[lost] = tracks.blocks[row]
