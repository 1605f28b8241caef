"""The tracker: which faces of successive frames are the same visitor, and the life of a track.

Every track carries a Kalman filter (`motion`), so lengths are measured in face sizes. Faces are assigned to
tracks so that the whole assignment is most likely, of which the picture of a moment ago is a part (`blocks`).
A face that fits none continues a track that was close by a moment ago and found no other (a sudden move), or
one in the same clothes that it can have reached (a turn out of sight), or one that a nearer person has hidden
since (in a queue), all in `association`, or else starts a new one. That may turn out to be one that was lost
(`resume`).

All times are those of the frames: neither frame rate nor dropped frames change what the settings mean.
`bench/trackers.py` compares this with trackers of a library; the constants were tuned on its scenes, with
seeds other than it reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import compress

import numpy as np

from edge.geometry import overlap
from edge.types import Boxes, Faces, Track, TrackState
from edge.vision.clothes import Colours
from edge.vision.track.association import JUMP_WITHIN, associate, compare, undecided
from edge.vision.track.blocks import Blocks
from edge.vision.track.life import NO_FACE
from edge.vision.track.motion import Bools, Indices
from edge.vision.track.resume import resume_lost
from edge.vision.track.sightings import Sightings
from edge.vision.track.state import COAST, HIDDEN_FOR, MICROSECOND, Tracks, micros

SAME_PLACE = 0.4
"""Overlap with the box of a track, seen or lost within JUMP_WITHIN, from which on a face starts no track: the
two are views of one face, or of one behind another, which starts a track where it shows itself."""


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
        self._doubt_after = micros(settings.doubt_after)
        self._lost_after = micros(settings.lost_after)
        self._hidden_for = max(HIDDEN_FOR // MICROSECOND, self._lost_after)
        self._tracks = Tracks(settings.confirm_hits)
        self._at = datetime(1970, 1, 1, tzinfo=UTC)

    def update(
        self,
        faces: Faces,
        at: datetime,
        clothes: Colours | None = None,
        parts: Colours | None = None,
        patches: Colours | None = None,
        *,
        blocks: Blocks | None = None,
    ) -> list[Track]:
        """Take one frame's faces; return the live tracks, oldest first, then those that this frame ended.

        A track is TENTATIVE until confirmed, then CONFIRMED in frames that show it and LOST in others, and
        REMOVED exactly once. `Track.face` is an index into `faces`; without one `Track.xyxy` is a prediction.
        `at`, the frame's time in UTC, may repeat. If it moves back, no time has passed, and the live tracks
        are moved to the new time with their first_seen and last_seen: a dwell is never negative.
        clothes: float32 (N, 3), `edge.vision.clothes` of each face, NaN where unknown. parts: the same where
        a part of them is enough to be known; `clothes` by default. patches: float32 (N, PATCHES, 3), the
        colour of each part of the chest; `clothes` by default. blocks: uint8 (N, SIDE, SIDE), the picture of
        each face, none by default.
        """
        tracks, seen = self._tracks, Sightings.of(faces.xyxy, clothes, parts, patches, blocks)
        ended = self._pass_time(at)
        pairs = compare(tracks, seen, self._settings.lost_after)
        rows, shown = associate(tracks, pairs)
        tracks.show(rows, shown, seen.pick(shown))
        tracks.note_hidden(faces.xyxy)
        waiting = undecided(tracks, pairs, shown)
        ended += self._remove(tracks.tentative & (tracks.unseen > self._doubt_after))
        ended += self._remove(resume_lost(tracks))
        fresh = self._fresh(faces, np.concatenate([shown, waiting]))
        if len(fresh):
            tracks.start(fresh, seen.pick(fresh))
        return self._public(tracks.boxes(faces)) + ended

    def finish(self) -> list[Track]:
        """End the stream: every live track, REMOVED."""
        return self._remove(np.ones(len(self._tracks), np.bool_))

    def _pass_time(self, at: datetime) -> list[Track]:
        """Move event time on to `at`, by at least 0; the tracks that were unseen for too long by then."""
        step = max(at - self._at, timedelta()) // MICROSECOND
        self._at = at
        tracks = self._tracks
        tracks.pass_time(step)
        gone = (tracks.life.absent > self._lost_after) | (tracks.unseen > self._hidden_for)
        ended = self._remove(gone)
        tracks.predict(step)
        return ended

    def _fresh(self, faces: Faces, taken: Indices) -> Indices:
        """The faces of a sufficient score that continue no track, and lie on none: each starts one."""
        fresh = faces.score >= self._settings.start_score
        fresh[taken] = False
        if fresh.any():
            fresh &= ~(overlap(faces.xyxy, self._recent(faces)) > SAME_PLACE).any(axis=1)
        return np.flatnonzero(fresh)

    def _recent(self, faces: Faces) -> Boxes:
        """Where the tracks are that this frame shows, and where those should be that were lost just now."""
        recent = self._tracks.unseen_seconds <= JUMP_WITHIN
        return self._tracks.boxes(faces)[recent]

    def _remove(self, over: Bools) -> list[Track]:
        """Forget the tracks where `over`, (N,), is true; return them as REMOVED."""
        if not over.any():
            return []
        gone = compress(self._public(self._tracks.motion.boxes()), over)
        ended = [replace(track, state=TrackState.REMOVED, face=None) for track in gone]
        self._tracks.keep(~over)
        return ended

    def _public(self, boxes: Boxes) -> list[Track]:
        """Every live track at these boxes, (N, 4), its times on the clock of the last frame."""
        tracks, life = self._tracks, self._tracks.life
        origin = self._at - tracks.now * MICROSECOND
        columns = (life.id, life.first_seen, life.last_seen, life.face, life.resumes)
        rows = zip(*(column.tolist() for column in columns), tracks.tentative.tolist(), boxes, strict=True)
        return [
            Track(
                track_id,
                box,
                _state(is_tentative, face != NO_FACE),
                origin + first_seen * MICROSECOND,
                origin + last_seen * MICROSECOND,
                None if face == NO_FACE else face,
                resumes or None,
            )
            for track_id, first_seen, last_seen, face, resumes, is_tentative, box in rows
        ]


def _state(is_tentative: bool, is_shown: bool) -> TrackState:
    if is_tentative:
        return TrackState.TENTATIVE
    return TrackState.CONFIRMED if is_shown else TrackState.LOST
