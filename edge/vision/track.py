"""Which faces of successive frames are the same visitor, and the life of a track.

Every track carries a Kalman filter (`motion`), so lengths are measured in face sizes. Faces are assigned to
tracks so that the whole assignment is most likely. A face that fits none continues a track that was close by
a moment ago and found no other (a sudden move), or one in the same clothes that it can have reached (a turn
out of sight), or one that a nearer person has hidden since (in a queue), or else starts a new one. Once the
clothes of that one were seen for a moment, it becomes the track that was lost at its place in the same
clothes, if there is one: who steps out from behind somebody shows the face first.

All times are those of the frames: neither frame rate nor dropped frames change what the settings mean.
`bench/trackers.py` compares this with trackers of a library; the constants were tuned on its scenes, with
seeds other than it reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import lap
import numpy as np
from numpy.typing import NDArray

from edge.geometry import overlap
from edge.types import Boxes, Faces, Track, TrackState
from edge.vision.clothes import Outfits, behind, half_hidden
from edge.vision.motion import NOISE, Floats, Indices, Motion, measure

Colours = NDArray[np.float32]
Bools = NDArray[np.bool_]

COAST = 1.2
"""Seconds unseen after which a track is predicted no further, and waits where it was expected last."""

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

HALF_HIDDEN = np.array([0.1, 0.1, 0.3, 0.3])
"""NOISE of a face near a larger one, which may hide a part: its box is up to 1.4 times too large or small."""

SAME_PLACE = 0.4
"""Overlap with the box of a track, seen or lost within JUMP_WITHIN, from which on a face starts no track: the
two are views of one face, or of one behind another, which starts a track where it shows itself."""

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

HIDDEN_FOR = timedelta(seconds=8)
"""Time unseen after which a track ends although a nearer person hides it: people in a queue are hidden until
the one before them has been served. 6 to 10 s give the same counts on drawn queues, whose people are hidden
for 3 s at a time."""

WAITS = 1.5
"""Face sizes from where it was seen last within which a hidden track is found again, be it expected
elsewhere: who waits does not walk on."""

WAITS_GROWTH = 0.7
"""E-folds by which the sides of such a face may differ: half hidden, it was up to 1.4 times too small, and
who moves up is nearer."""

UNPROVEN_FOR = 1.0
"""Seconds after `lost_after` for which a hidden track is found again without a look at the clothes. From then
on somebody else may have come: it takes the same clothes, if only a part of them."""

UNDECIDED_FOR = timedelta(seconds=1)
"""Time for which a face near a track that is hidden for so long starts none: who steps out from behind
somebody shows the face first and the clothes a moment later."""

LATE = 2.0
"""Face sizes from where a lost track was seen last within which another that began there later, in the same
clothes, is the same visitor: 1.75 to 2.25 give nearly the same counts on recordings and drawn scenes."""

LATE_AT_ONCE = 3.0
"""The same where it began within TURN_WITHIN of that: nobody else comes so soon in such clothes."""

LATE_GROWTH = 0.7
"""E-folds by which the sides of the two faces may differ: one may have been half hidden."""

LATE_SIGHTS = 3
"""Sights of the clothes of the newer track from which on they are compared, once."""

OTHER_CLOTHES = 2.0
"""How unlike the clothes are (`Outfits.unlike`) from which on a face that fits no track continues none."""

NOWHERE = 3.0
"""Above every detour that is possible."""

VAGUE_AFTER = timedelta(seconds=0.5)
"""Time unseen, up to the frame before, from which on a tentative track continues in the same clothes only:
its velocity is hardly known, and any two false faces would make one."""

TENTATIVE_SURCHARGE = 4.0
"""Surprise added under a tentative track: a confirmed one wins a conflict unless it fits far worse."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """When a track starts, is confirmed, and ends.

    start_score: a face below it (0..1) may continue a track but starts none.
    confirm_hits: a track is confirmed when this many frames have shown it.
    doubt_after, lost_after: seconds unseen after which a tentative and a confirmed track are removed. A
        tentative one waits as long as it is predicted: who is hidden after the first sight may cross a line.
        For a confirmed one only the time counts in which no nearer person hides it, up to `HIDDEN_FOR`.
    """

    start_score: float = 0.6
    confirm_hits: int = 3
    doubt_after: float = COAST
    lost_after: float = 3.0


DEFAULTS = TrackerSettings()


class Tracker:
    """Follows the visitors of one camera. Ids count from 1 and are never used again."""

    def __init__(self, settings: TrackerSettings = DEFAULTS) -> None:
        self._settings = settings
        self._doubt_after = timedelta(seconds=settings.doubt_after)
        self._lost_after = timedelta(seconds=settings.lost_after)
        self._lives: list[_Life] = []
        self._motion = Motion()
        self._outfits = Outfits()
        self._parts = Outfits()
        self._next_id = 1
        self._at = datetime(1970, 1, 1, tzinfo=UTC)
        self._elapsed = self._before = timedelta()

    def update(
        self, faces: Faces, at: datetime, clothes: Colours | None = None, parts: Colours | None = None
    ) -> list[Track]:
        """Take one frame's faces; return the live tracks, oldest first, then those that this frame ended.

        A track is TENTATIVE until confirmed, then CONFIRMED in frames that show it and LOST in others, and
        REMOVED exactly once. `Track.face` is an index into `faces`; without one `Track.xyxy` is a prediction.
        `at`, the frame's time in UTC, may repeat. If it moves back, no time has passed, and the live tracks
        are moved to the new time with their first_seen and last_seen: a dwell is never negative.
        clothes: float32 (N, 3), `edge.vision.clothes` of each face, NaN where unknown. parts: the same where
        a part of them is enough to be known; `clothes` by default.
        """
        step = self._advance(at)
        ended = self._remove([self._has_waited_too_long(life, step) for life in self._lives])
        self._motion.predict(np.array([self._coasting(life, step) for life in self._lives]))
        worn = np.full((len(faces), 3), np.nan, np.float32) if clothes is None else clothes
        parts = worn if parts is None else parts
        pairs = self._compare(faces.xyxy, worn, parts)
        rows, columns = self._associate(pairs)
        if len(rows) < len(self._lives) and len(columns) < len(faces):
            rows, columns = self._rejoin(self._detour(pairs), rows, columns)
        self._motion.correct(rows, pairs.measured[columns], pairs.noise[columns])
        self._outfits.add(rows, worn[columns])
        self._parts.add(rows, parts[columns])
        self._note(rows, columns)
        self._note_hidden(faces.xyxy)
        taken = np.concatenate([columns, self._undecided(pairs, columns)])
        ended += self._remove([self._doubtful(life) for life in self._lives])
        ended += self._remove([self._resumes(row) for row in range(len(self._lives))])
        self._start(faces, pairs.measured, taken, worn, parts)
        return self._tracks(faces) + ended

    def finish(self) -> list[Track]:
        """End the stream: every live track, REMOVED."""
        return self._remove([True] * len(self._lives))

    def _advance(self, at: datetime) -> timedelta:
        """Move event time on to `at`; by how much, at least 0."""
        step = max(at - self._at, timedelta())
        self._at = at
        self._before = self._elapsed
        self._elapsed += step
        return step

    def _coasting(self, life: _Life, step: timedelta) -> float:
        """How many of the last step's seconds to predict this track for."""
        seconds = step.total_seconds()
        return max(0.0, min(seconds, COAST + seconds - self._unseen(life).total_seconds()))

    def _unseen(self, life: _Life) -> timedelta:
        return self._elapsed - life.last_seen

    def _has_waited_too_long(self, life: _Life, step: timedelta) -> bool:
        """Let a time step pass for a track; whether it was out of sight, or hidden, for too long."""
        if not life.hidden:
            life.absent += step
        return life.absent > self._lost_after or self._unseen(life) > max(HIDDEN_FOR, self._lost_after)

    def _note_hidden(self, seen: Boxes) -> None:
        """Note which lost tracks are expected behind a nearer one of the faces seen, (M, 4)."""
        lost = np.array([life.state is TrackState.LOST for life in self._lives], np.bool_)
        hidden = lost.copy()
        hidden[lost] = behind(self._motion.boxes()[lost], seen)
        for life, is_hidden in zip(self._lives, hidden.tolist(), strict=True):
            life.hidden = is_hidden

    def _doubtful(self, life: _Life) -> bool:
        return life.state is TrackState.TENTATIVE and self._unseen(life) > self._doubt_after

    def _resumes(self, row: int) -> bool:
        """Whether a track began where another was lost, in the same clothes: then that one goes on as it has.

        When it began, it was half hidden, or nothing was seen of the clothes.
        """
        life = self._lives[row]
        is_new = life.state is TrackState.CONFIRMED and not life.compared
        if not is_new or self._outfits.sights[row] < LATE_SIGHTS:
            return False
        life.compared = True
        unlike = self._outfits.unlike(self._outfits.means[row][None])[:, 0]
        apart = self._motion.apart(life.began[None], LATE_GROWTH)[:, 0]
        if life.dressed:  # then all was known of a face of the same size, and it fitted none
            apart[np.isfinite(self._motion.apart(life.began[None], JUMP_GROWTH)[:, 0])] = np.inf
        found = [
            other
            for other in range(len(self._lives))
            if unlike[other] < 1 and self._may_resume(life, self._lives[other], apart[other])
        ]
        if not found:
            return False
        self._replace(max(found, key=lambda other: self._lives[other].last_seen), row)
        return True

    def _may_resume(self, life: _Life, lost: _Life, apart: float) -> bool:
        """Whether the newer track began near enough, and while the other was out of sight, as it still is."""
        gap = life.first_seen - lost.last_seen
        if lost.state is not TrackState.LOST or gap <= timedelta():
            return False
        return apart < (LATE_AT_ONCE if gap.total_seconds() <= TURN_WITHIN else LATE)

    def _replace(self, lost: int, row: int) -> None:
        """Let a lost track go on as the one of this row has gone on, which resumes it."""
        old, new = self._lives[lost], self._lives[row]
        old.state, old.face, old.last_seen = TrackState.CONFIRMED, new.face, new.last_seen
        old.absent, old.hidden, old.unproven_from = timedelta(), False, None
        new.resumes = old.track_id
        self._motion.copy(row, lost)

    def _compare(self, boxes: Boxes, worn: Colours, parts: Colours) -> _Pairs:
        """What the tracks and this frame's faces (M, 4) have to do with each other."""
        measured = measure(boxes)
        noise = np.where(half_hidden(boxes)[:, None], HALF_HIDDEN, NOISE)
        unseen = np.array([self._unseen(life).total_seconds() for life in self._lives])
        hidden_long = unseen > self._settings.lost_after + UNPROVEN_FOR
        unlike = self._outfits.unlike(worn)
        if hidden_long.any():
            unlike[hidden_long] = self._parts.unlike(parts)[hidden_long]
        back = (unlike < 1) & ~self._taken(measured, unseen)
        # Whose own clothes were never seen continues without: the camera may look at faces only.
        late = hidden_long & self._parts.known
        return _Pairs(measured, noise, unseen, unlike, back, late, late[:, None] & ~(unlike < 1))

    def _associate(self, pairs: _Pairs) -> tuple[Indices, Indices]:
        """Tracks and faces that belong together, as indices of equal length.

        Same clothes, as far as a face is not where another track was a moment ago, make a pair more likely,
        and are needed where the track is vague.
        """
        if not (self._lives and len(pairs.measured)):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        clash = _clash(pairs)
        clash[~pairs.back] = np.maximum(clash[~pairs.back], 0)
        surprise = self._motion.surprise(pairs.measured, pairs.noise) + clash
        surprise[self._vague()[:, None] & ~pairs.back] = np.inf
        surprise[pairs.unproven] = np.inf
        tentative = np.array([life.state is TrackState.TENTATIVE for life in self._lives])
        surcharge = TENTATIVE_SURCHARGE * tentative[:, None]
        impossible = SURPRISE_LIMIT + TENTATIVE_SURCHARGE
        cost = np.where(surprise < SURPRISE_LIMIT, surprise + surcharge, impossible)
        face, _ = lap.lapjv(cost, extend_cost=True, return_cost=False)
        rows = np.flatnonzero(face >= 0)
        columns = face[rows].astype(np.intp)
        possible = cost[rows, columns] < impossible
        return rows[possible], columns[possible]

    def _vague(self) -> NDArray[np.bool_]:
        """Which tracks continue in the same clothes only, (N,): frames were there that did not show them."""
        return np.array(
            [
                life.state is TrackState.TENTATIVE and self._before - life.last_seen > VAGUE_AFTER
                for life in self._lives
            ]
        )

    def _undecided(self, pairs: _Pairs, taken: Indices) -> Indices:
        """Which faces may be of a late track, once it is seen what they wear."""
        if not pairs.late.any():
            return np.empty(0, np.intp)
        waits = np.array([life.hidden for life in self._lives], np.bool_) & pairs.late
        may = self._motion.apart(pairs.measured, WAITS_GROWTH) < WAITS
        may &= np.isnan(pairs.unlike) & waits[:, None]
        may[:, taken] = False
        for row in np.flatnonzero(may.any(axis=1)).tolist():
            life = self._lives[row]
            life.unproven_from = life.unproven_from or self._elapsed
            may[row] &= self._elapsed - life.unproven_from <= UNDECIDED_FOR
        return np.flatnonzero(may.any(axis=0))

    def _taken(self, measured: Floats, unseen: Floats) -> Bools:
        """Which faces are close to where a track was a moment ago, (M,): they are of that one, if of any.

        Without it, a track lost long ago wins the face of a person in such clothes who just moved suddenly.
        A tentative track claims none: it may be the one that was lost, found again.
        """
        confirmed = [life.state is not TrackState.TENTATIVE for life in self._lives]
        seen = (unseen <= JUMP_WITHIN) & np.array(confirmed, np.bool_)
        return np.asarray((self._motion.apart(measured)[seen] < JUMP).any(axis=0))

    def _rejoin(self, detour: Floats, rows: Indices, columns: Indices) -> tuple[Indices, Indices]:
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

    def _detour(self, pairs: _Pairs) -> Floats:
        """How unlikely it is that each track moved suddenly (0 to 1), turned round (1 to 2) or waited behind
        somebody (2 to 3) to be each face, (N, M). Infinite where it can be none of these."""
        measured, unseen = pairs.measured, pairs.unseen[:, None]
        hidden = np.array([life.hidden for life in self._lives], np.bool_)[:, None]
        waits = self._motion.apart(measured, WAITS_GROWTH)
        apart, reach = self._motion.apart(measured, JUMP_GROWTH), np.maximum(TURN * unseen, 1e-6)
        detour = np.where(hidden & (waits < WAITS), 2 + waits / WAITS, np.inf)
        turned = pairs.back & (unseen <= TURN_WITHIN) & (apart < reach)
        detour = np.where(turned, 1 + apart / reach, detour)
        detour = np.where((unseen <= JUMP_WITHIN) & (apart < JUMP), apart / JUMP, detour)
        detour[pairs.unlike >= OTHER_CLOTHES] = np.inf
        detour[pairs.unproven] = np.inf
        return detour

    def _note(self, rows: Indices, columns: Indices) -> None:
        """Note which tracks this frame shows and which it does not."""
        for life in self._lives:
            life.face = None
            if life.state is TrackState.CONFIRMED:
                life.state = TrackState.LOST
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            self._hit(self._lives[row], column)

    def _hit(self, life: _Life, face: int) -> None:
        life.face, life.last_seen, life.hits = face, self._elapsed, life.hits + 1
        life.absent, life.unproven_from = timedelta(), None
        if life.hits >= self._settings.confirm_hits:
            life.state = TrackState.CONFIRMED

    def _start(self, faces: Faces, measured: Floats, taken: Indices, worn: Colours, parts: Colours) -> None:
        """Start a track on each face of a sufficient score that continues none, and lies on none."""
        fresh = faces.score >= self._settings.start_score
        fresh[taken] = False
        if not fresh.any():
            return
        fresh &= ~(overlap(faces.xyxy, self._recent(faces)) > SAME_PLACE).any(axis=1)
        for column in np.flatnonzero(fresh).tolist():
            dressed = not np.isnan(worn[column]).any()
            life = _Life(self._next_id, self._elapsed, self._elapsed, measured[column], dressed)
            self._hit(life, column)
            self._lives.append(life)
            self._next_id += 1
        self._motion.start(measured[fresh])
        self._outfits.start(worn[fresh])
        self._parts.start(parts[fresh])

    def _recent(self, faces: Faces) -> Boxes:
        """Where the tracks are that this frame shows, and where those should be that were lost just now."""
        held = faces.xyxy[[life.face for life in self._lives if life.face is not None]]
        lost = [
            life.face is None and self._unseen(life).total_seconds() <= JUMP_WITHIN for life in self._lives
        ]
        return np.concatenate([held, self._motion.boxes()[np.array(lost, np.bool_)]])

    def _remove(self, over: list[bool]) -> list[Track]:
        """Forget the tracks where `over` is true; return them as REMOVED."""
        if not any(over):
            return []
        ended: list[Track] = []
        for life, box, gone in zip(self._lives, self._motion.boxes(), over, strict=True):
            if gone:
                life.state, life.face = TrackState.REMOVED, None
                ended.append(self._track(life, box))
        self._lives = [life for life, gone in zip(self._lives, over, strict=True) if not gone]
        kept = ~np.array(over)
        self._motion.keep(kept)
        self._outfits.keep(kept)
        self._parts.keep(kept)
        return ended

    def _tracks(self, faces: Faces) -> list[Track]:
        boxes = self._motion.boxes()
        return [
            self._track(life, box if life.face is None else faces.xyxy[life.face])
            for life, box in zip(self._lives, boxes, strict=True)
        ]

    def _track(self, life: _Life, box: NDArray[np.float32]) -> Track:
        """The public `Track` of `life`, its times on the clock of the last frame."""
        origin = self._at - self._elapsed
        return Track(
            life.track_id,
            box,
            life.state,
            origin + life.first_seen,
            origin + life.last_seen,
            life.face,
            life.resumes,
        )


@dataclass(slots=True)
class _Life:
    """A track without its motion. Times are on the tracker's own axis, which never moves back.

    absent: time for which it was not seen and nobody hid it. hidden: whether somebody hides it now.
    unproven_from: when a face came that may be this one, of whose clothes nothing was seen. began: (4,),
    where it was seen first. dressed: whether the clothes were seen then. compared: whether it was asked whose
    track it resumes; resumes: the id of that one.
    """

    track_id: int
    first_seen: timedelta
    last_seen: timedelta
    began: Floats
    dressed: bool
    state: TrackState = TrackState.TENTATIVE
    hits: int = 0
    face: int | None = None
    absent: timedelta = timedelta()
    hidden: bool = False
    unproven_from: timedelta | None = None
    compared: bool = False
    resumes: int | None = None


@dataclass(frozen=True, slots=True)
class _Pairs:
    """M faces of a frame beside the N tracks before it.

    measured, noise: (M, 4), the faces for the filter. unseen: (N,), seconds since a track was seen. unlike:
    (N, M), how unlike the clothes are; parts of them for a track that is hidden for very long. back: (N, M),
    which faces in the same clothes may be a track that comes back. late: (N,), which tracks are hidden for so
    long that they continue in the same clothes only. unproven: (N, M), which faces are not seen in these.
    """

    measured: Floats
    noise: Floats
    unseen: Floats
    unlike: Floats
    back: Bools
    late: Bools
    unproven: Bools


def _clash(pairs: _Pairs) -> Floats:
    """Surprise at the clothes of each face, (N, M): more or less the longer a track was not seen."""
    weight = COLOUR_WEIGHT * np.minimum(pairs.unseen / COLOUR_COUNTS, 1)
    clash: Floats = np.nan_to_num(np.minimum(pairs.unlike - 1, 1) * weight[:, None])
    return clash
