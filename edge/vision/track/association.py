"""Which face of a frame is which track."""

from __future__ import annotations

from dataclasses import dataclass

import lap
import numpy as np

from edge.vision.track.blocks import agreement
from edge.vision.track.life import NEVER
from edge.vision.track.motion import Bools, Floats, Indices
from edge.vision.track.sightings import Sightings
from edge.vision.track.state import Tracks, micros

SURPRISE_LIMIT = 3.0
"""The surprise (-2 log likelihood, lengths in face sizes) from which on a face does not belong to a track.

As a distance it is about four standard deviations for a track seen a tenth of a second ago, and one and a
half for one that has coasted: it knows little of its place and so may claim little.
"""

COLOUR_COUNTS = 1.0
"""Seconds unseen from which on the colour of clothes counts in full. After a moment the place is enough, and
a person who half hides another lends them a colour."""

COLOUR_WEIGHT = 6.0
"""Surprise taken off for the same colour, and the most that is added for another one. 4 to 6 give the same
counts on recordings; on walks 6 parts more people who follow each other."""

JUMP = 1.5
"""Face sizes from where it was seen last within which a face that fits no track continues one: people duck,
jump and bob faster than the filter expects. 1.5 to 2.0 give the same counts on recordings, 1.25 splits
more."""

JUMP_WITHIN = 0.35
"""Seconds unseen after which that ends: the filter knows so little then that its own reach is as wide."""

JUMP_GROWTH = 0.3
"""E-folds by which the sides of such a face may differ: it is the same face a moment later."""

TURN = 5.0
"""Face sizes a second, from where it was seen last, within which a face in the same clothes continues a
track: people who are hidden stop and turn round, and the filter expects them to go on."""

TURN_WITHIN = 1.5
"""Seconds unseen after which that ends: somebody else in such clothes may have come."""

WAITS = 1.5
"""Face sizes from where it was seen last within which a hidden track is found again, be it expected
elsewhere: who waits does not walk on."""

WAITS_GROWTH = 0.7
"""E-folds by which the sides of such a face may differ: half hidden, it was up to 1.4 times too small, and
who moves up is nearer."""

UNPROVEN_FOR = 1.0
"""Seconds after `lost_after` for which a hidden track is found again without a look at the clothes. From then
on somebody else may have come: it takes the same clothes, if only a part of them."""

UNDECIDED_FOR = 1.0
"""Seconds for which a face near a track that is hidden for so long starts none: who steps out from behind
somebody shows the face first and the clothes a moment later."""

OTHER_CLOTHES = 2.0
"""How unlike the clothes are (`Outfits.unlike`) from which on a face that fits no track continues none."""

NOWHERE = 3.0
"""Above every detour that is possible."""

VAGUE_AFTER = 0.5
"""Seconds unseen, up to the frame before, from which on a tentative track continues in the same clothes only:
its velocity is hardly known, and any two false faces would make one."""

NEARBY = 8.0
"""Face sizes from where a track was seen last within which a face may be another person's in its place."""

CROWDED = 0.25
"""Surprise added for each e-fold of faces that are so near, unless the clothes are the same: the more people,
the more likely one of them stands where somebody was expected."""

SAME_PICTURE, OTHER_PICTURE = 0.7, 0.4
"""Agreement with the picture of a moment ago (`blocks.agreement`) from which on a face is no surprise for it,
and up to which it is all of PICTURE_WEIGHT. In crowds most pairs below 0.65 taken for one person were two."""

PICTURE_WEIGHT = 4.0
"""Surprise added for another picture. With 6 and 8 more people who come out half hidden are counted twice."""

COMPARED = 3.0
"""Face sizes from where a track was seen last within which the pictures are compared."""

TENTATIVE_SURCHARGE = 4.0
"""Surprise added under a tentative track: a confirmed one wins a conflict unless it fits far worse."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """M faces of a frame beside the N tracks before it.

    seen: the faces. unseen: (N,), seconds since a track was seen. apart: (N, M), face sizes from where it was
    seen last. unlike: (N, M), how unlike the clothes are; parts of them for a track that is hidden for very
    long. back: (N, M), which faces in the same clothes may be a track that comes back. late: (N,), which
    tracks are hidden for so long that they continue in the same clothes only. unproven: (N, M), which faces
    are not seen in these. agree: (N, M), how well their pictures agree, NaN where they are not compared.
    """

    seen: Sightings
    unseen: Floats
    apart: Floats
    unlike: Floats
    back: Bools
    late: Bools
    unproven: Bools
    agree: Floats


def compare(tracks: Tracks, seen: Sightings, lost_after: float) -> Pairs:
    """What the tracks and a frame's faces have to do with each other. lost_after: see `TrackerSettings`."""
    unseen, apart = tracks.unseen_seconds, tracks.motion.apart(seen.measured)
    hidden_long = unseen > lost_after + UNPROVEN_FOR
    unlike = tracks.clothes.unlike(seen, hidden_long)
    back = (unlike < 1) & ~_taken(tracks, apart, unseen)
    # Whose own clothes were never seen continues without: the camera may look at faces only.
    late = hidden_long & tracks.clothes.known
    unproven = late[:, None] & ~(unlike < 1)
    return Pairs(seen, unseen, apart, unlike, back, late, unproven, _agree(tracks, seen, apart))


def associate(tracks: Tracks, pairs: Pairs) -> tuple[Indices, Indices]:
    """Tracks and faces that belong together, as indices of equal length: first those where they are expected,
    then those left over that moved suddenly, turned round or waited behind somebody."""
    rows, columns = _expected(tracks, pairs)
    if len(rows) < len(tracks) and len(columns) < len(pairs.seen):
        rows, columns = _rejoin(_detour(tracks, pairs), rows, columns)
    return rows, columns


def undecided(tracks: Tracks, pairs: Pairs, taken: Indices) -> Indices:
    """Which faces, not taken by a track, may be of a late track, once it is seen what they wear.

    Notes since when each such track has waited for that.
    """
    if not pairs.late.any():
        return np.empty(0, np.intp)
    may = tracks.motion.apart(pairs.seen.measured, WAITS_GROWTH) < WAITS
    may &= np.isnan(pairs.unlike) & (tracks.life.hidden & pairs.late)[:, None]
    may[:, taken] = False
    waiting = may.any(axis=1)
    since = tracks.life.unproven_from
    since[waiting & (since == NEVER)] = tracks.now
    may[tracks.now - since > micros(UNDECIDED_FOR)] = False
    return np.flatnonzero(may.any(axis=0))


def _taken(tracks: Tracks, apart: Floats, unseen: Floats) -> Bools:
    """Which faces are close to where a track was a moment ago, (M,): they are of that one, if of any.

    Without it, a track lost long ago wins the face of a person in such clothes who just moved suddenly.
    A tentative track claims none: it may be the one that was lost, found again.
    """
    recent = (unseen <= JUMP_WITHIN) & ~tracks.tentative
    return np.asarray((apart[recent] < JUMP).any(axis=0))


def _expected(tracks: Tracks, pairs: Pairs) -> tuple[Indices, Indices]:
    """The most likely assignment of faces to where tracks are expected.

    Same clothes, as far as a face is not where another track was a moment ago, make a pair more likely,
    and are needed where the track is vague.
    """
    if not (len(tracks) and len(pairs.seen)):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    clash = _clash(pairs)
    clash[~pairs.back] = np.maximum(clash[~pairs.back], 0)
    surprise = tracks.motion.surprise(pairs.seen.measured, pairs.seen.noise) + clash
    surprise += np.where(pairs.back, 0, _crowding(pairs)) + _changed(pairs)
    tentative = tracks.tentative
    vague = tentative & (tracks.before - tracks.life.last_seen > micros(VAGUE_AFTER))
    surprise[vague[:, None] & ~pairs.back] = np.inf
    surprise[pairs.unproven] = np.inf
    surcharge = TENTATIVE_SURCHARGE * tentative[:, None]
    impossible = SURPRISE_LIMIT + TENTATIVE_SURCHARGE
    cost = np.where(surprise < SURPRISE_LIMIT, surprise + surcharge, impossible)
    face, _ = lap.lapjv(cost, extend_cost=True, return_cost=False)
    rows = np.flatnonzero(face >= 0)
    columns = face[rows].astype(np.intp)
    possible = cost[rows, columns] < impossible
    return rows[possible], columns[possible]


def _clash(pairs: Pairs) -> Floats:
    """Surprise at the clothes of each face, (N, M): more or less the longer a track was not seen."""
    weight = COLOUR_WEIGHT * np.minimum(pairs.unseen / COLOUR_COUNTS, 1)
    clash: Floats = np.nan_to_num(np.minimum(pairs.unlike - 1, 1) * weight[:, None])
    return clash


def _crowding(pairs: Pairs) -> Floats:
    """Surprise at any face for each track, (N, 1), by how many are near."""
    near = (pairs.apart < NEARBY).sum(axis=1, keepdims=True)
    return np.asarray(CROWDED * np.log(np.maximum(near, 1)))


def _agree(tracks: Tracks, seen: Sightings, apart: Floats) -> Floats:
    """How well the pictures of tracks and faces that are near agree, (N, M)."""
    agree = np.full(apart.shape, np.nan)
    known = np.asarray(tracks.blocks.any(axis=(1, 2)))  # those of longer ago are forgotten
    for row, column in np.argwhere(known[:, None] & (apart < COMPARED)).tolist():
        agree[row, column] = agreement(tracks.blocks[row], seen.blocks[column])
    return agree


def _changed(pairs: Pairs) -> Floats:
    """Surprise at another picture where a track was a moment ago, (N, M)."""
    changed = (SAME_PICTURE - pairs.agree) / (SAME_PICTURE - OTHER_PICTURE)
    return np.nan_to_num(PICTURE_WEIGHT * np.clip(changed, 0, 1))


def _detour(tracks: Tracks, pairs: Pairs) -> Floats:
    """How unlikely it is that each track moved suddenly (0 to 1), turned round (1 to 2) or waited behind
    somebody (2 to 3) to be each face, (N, M). Infinite where it can be none of these."""
    unseen, hidden = pairs.unseen[:, None], tracks.life.hidden[:, None]
    waits = tracks.motion.apart(pairs.seen.measured, WAITS_GROWTH)
    apart = tracks.motion.apart(pairs.seen.measured, JUMP_GROWTH)
    reach = np.maximum(TURN * unseen, 1e-6)
    detour = np.where(hidden & (waits < WAITS), 2 + waits / WAITS, np.inf)
    turned = pairs.back & (unseen <= TURN_WITHIN) & (apart < reach)
    detour = np.where(turned, 1 + apart / reach, detour)
    detour = np.where((unseen <= JUMP_WITHIN) & (apart < JUMP), apart / JUMP, detour)
    detour[pairs.unlike >= OTHER_CLOTHES] = np.inf
    detour[pairs.unproven] = np.inf
    return detour


def _rejoin(detour: Floats, rows: Indices, columns: Indices) -> tuple[Indices, Indices]:
    """The assignment, and beside it faces and tracks left over that are close enough to be one.

    detour: (N, M), see `_detour`; it is changed.
    """
    detour[rows] = np.inf
    detour[:, columns] = np.inf
    near = np.isfinite(detour)
    lost, left = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    if not len(left):
        return rows, columns
    cost = np.minimum(detour[np.ix_(lost, left)], NOWHERE)
    face, _ = lap.lapjv(cost, extend_cost=True, return_cost=False)
    pairs = np.flatnonzero(face >= 0)
    pairs = pairs[cost[pairs, face[pairs]] < NOWHERE]
    return np.concatenate([rows, lost[pairs]]), np.concatenate([columns, left[face[pairs]]])
