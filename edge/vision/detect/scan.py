"""Where a frame is searched for faces: the whole picture, and the tiles that may show something new."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge.geometry import longer_sides, overlap, suppress
from edge.types import Boxes, Faces, Image
from edge.vision.detect.detector import FaceDetector
from edge.vision.detect.tiles import OVERLAP, Changes, halves, holding, plan_tiles
from edge.vision.toning import is_grey, toned

Mask = NDArray[np.bool_]
Shares = NDArray[np.float32]

DUPLICATE = 0.5
"""Two boxes that share half of the smaller one are the same face, seen in two tiles or in a tile and the
whole."""

TOUCHES = 0.1
"""Share of the smaller box from which on a face of a half may be one that the whole shows in another box."""

EDGE = 2.0
"""Pixels: a box this close to an inner edge of its tile is cut off; the next tile shows the whole face."""

TILES_PER_FRAME = 4
"""The most tiles searched in a frame before their turn, those with tracks first: it bounds the cost."""

WHOLE_EVERY = 0.29
"""Seconds from one search of the whole for what the tiles of a frame leave out to the next: every third frame
of 10 a second, whose times are rounded, every second of 5. On recordings as many visitors are wrong as with
every frame, and 11 % fewer views are searched; with 0.5 s, and at full scans alone, one more is."""

FAINT = 8 / 192
"""Share of a small picture's longer side up to which the whole shows a face poorly, eight of the detector's
192 pixels. Its halves are searched for smaller ones: the box of others would change with the view."""

MISSED = 12 / 192
"""The same up to which a half shows faces that the whole misses: at 8 to 11 of its pixels some score 0.1 to
0.5 in it, and 0.6 to 0.9 in a half."""

RARELY = 3
"""Full scans from one to the next search of a small picture's tiles, which costs as much as two frames. In
between those with a faint track are searched."""

PERSON = 7.5
"""Heights of a person in heights of their face, chin to crown."""

MOVING = 0.01
"""A tile is moving if this share of it changed: a 40 px face in a 540 px tile is 0.55 % of it, and the person
below it several times that."""

ROUNDED = 0.1
"""Share of the time between two frames by which a full scan may be late: times of frames are rounded."""

STILL = 0.001
"""A view is still if less than this share of it changed since it was last searched: two pixels of the small
grey picture of a tile at 1080p, where the smallest face covers three and the person below it ten times as
many."""


def why_too_small(image: Image, min_face: int) -> str:
    """What is wrong with pictures in which a person from head to foot has too small a face; else empty."""
    height, width = image.shape[:2]
    if height >= PERSON * min_face:
        return ""
    return (
        f"pictures of {width}x{height} are too small for detection.min_face = {min_face}: a person who is "
        f"seen from head to foot is not counted; allowed: {math.ceil(PERSON * min_face)} lines or more"
    )


class Scanner:
    """Finds the faces of one camera, frame after frame.

    A view is the whole picture or one of its tiles. Each is searched again within `full_scan_every` seconds
    of the camera's time (the halves of a small picture within three times that), a few in each frame, so that
    no frame costs much more than another. The time of the next frame is taken from the last two: where frames
    come unevenly, a search may be late by up to the time between two. Besides these, tiles with a track or
    motion are searched, and every `whole_every` seconds the whole picture if they leave something out. A
    still view without a track is skipped for up to `still_scan_every` seconds: an empty aisle costs almost
    nothing.
    """

    def __init__(
        self,
        detector: FaceDetector,
        *,
        tile: int,
        full_scan_every: float,
        min_face: int,
        still_scan_every: float = 0.0,
        whole_every: float = WHOLE_EVERY,
        tone_grey: bool = False,
    ) -> None:
        """still_scan_every: 0 turns skipping off. whole_every: see `WHOLE_EVERY`; 0 for every frame.

        tone_grey: whether the detector sees pictures without colour in the tone of skin, see `toning`.
        """
        self._detector = detector
        self._tone_grey = tone_grey
        self._tile = tile
        self._every = timedelta(seconds=full_scan_every)
        self._whole_every = timedelta(seconds=whole_every)
        self._still_every = timedelta(seconds=still_scan_every)
        self._still = STILL if still_scan_every else 0.0
        self._min_face = min_face
        self._size = (0, 0)
        self._held_turn, self._moving_turn = _Turn(), _Turn()

    def scan(self, image: Image, at: datetime, tracks: Boxes) -> Faces:
        """The faces of `image`, in its pixels. tracks: float32 (N, 4), where visitors are expected."""
        if (size := (image.shape[1], image.shape[0])) != self._size:
            self._begin(*size)
        missed = np.asarray((overlap(tracks, self._missed) > DUPLICATE).any(axis=1), np.bool_)
        views = self._views_to_search(image, at, tracks, missed)
        seen = self._search(image, views)
        merged = _merge(self._with_missed(views, seen, tracks, missed) if self._small else seen)
        return _those(merged, longer_sides(merged.xyxy) >= self._min_face)

    def restart(self) -> None:
        """Forget what was searched: the next picture shows another time or place."""
        self._size = (0, 0)

    def close(self) -> None:
        """Release the detector."""
        self._detector.close()

    def _begin(self, width: int, height: int) -> None:
        """Start over for pictures of a new size. View 0 is the whole picture, the others are its tiles."""
        self._size = (width, height)
        whole = np.array([[0, 0, width, height]], np.float32)
        tiles = plan_tiles(width, height, self._tile)
        self._small = self._tile > 0 and not len(tiles)
        self._fits = OVERLAP * float(longer_sides(tiles).max(initial=0))
        self._views = np.concatenate([whole, halves(width, height) if self._small else tiles])
        self._places: list[list[int]] = self._views.astype(int).tolist()
        self._inner = _inner_edges(self._views, width, height)
        self._faint, self._most = FAINT * max(width, height), MISSED * max(width, height)
        self._missed = np.empty((0, 4), np.float32)
        self._scan_every = self._every * (RARELY if self._small else 1)
        self._changes = Changes(self._views, width, height)
        self._searched: list[datetime | None] = [None] * len(self._views)
        self._shown: datetime | None = None
        self._next_sweep: list[datetime] = []

    def _views_to_search(self, image: Image, at: datetime, tracks: Boxes, missed: Mask) -> list[int]:
        """Indices of the views to search, the whole first. missed: which tracks the whole has missed."""
        changed, due = self._changes.show(image), self._waits(at) == 0
        held = holding(self._views[1:], tracks)
        shows = held | (changed[1:] >= self._still)
        if self._small:
            tiles = self._faint_halves(tracks, missed) | (shows & due[1:].any())
        else:
            tiles = self._choose(held, changed[1:] >= MOVING)
            tiles |= self._longest_ago(shows & ~tiles, at)
        whole = self._whole_matters(changed, tracks) and (
            due[0] or self._needs_whole(shows, tiles, tracks, at)
        )
        views = np.flatnonzero(np.concatenate([[whole], tiles]) | self._overdue(at)).tolist()
        self._note(views, at)
        return views

    def _faint_halves(self, tracks: Boxes, missed: Mask) -> Mask:
        """Which halves of a small picture show a track better than the whole does, or alone."""
        return holding(self._views[1:], tracks[missed | (longer_sides(tracks) <= self._faint)])

    def _longest_ago(self, shown: Mask, at: datetime) -> Mask:
        """Those of the tiles to search now, longest ago first: as few as leave each of the later frames no
        more than its part of all tiles.
        """
        chosen = np.zeros(len(shown), np.bool_)
        waits = self._waits(at)[1:]
        line = sorted(np.flatnonzero(shown).tolist(), key=lambda tile: self._searched[tile + 1] or at)
        each = math.ceil(len(shown) / max(self._frames_of(self._scan_every, at), 1))
        needed = np.arange(1, len(line) + 1) - waits[line] * each
        chosen[line[: min(int(needed.max(initial=0)), each)]] = True
        return chosen

    def _waits(self, at: datetime) -> NDArray[np.int_]:
        """For how many frames beyond this one each view can wait until its full scan is due."""
        every = self._scan_every
        return np.array(
            [
                0 if last is None or at < last else self._frames_of(last + every - at, at)
                for last in self._searched
            ]
        )

    def _frames_of(self, time: timedelta, at: datetime) -> int:
        """How many frames come in a time, if they come as far apart as this one and the one before it."""
        step = at - self._shown if self._shown is not None else timedelta(0)
        return max(math.floor(time / step + ROUNDED), 0) if step > timedelta(0) else 0

    def _note(self, views: list[int], at: datetime) -> None:
        """Note what is searched `at`: tiles at the first frame as if one after the other before it."""
        begins = self._shown is None or at < self._shown
        spread = self._scan_every / len(self._views) if begins and not self._small else timedelta(0)
        for view in views:
            self._searched[view] = at - view * spread
        self._shown = at

    def _needs_whole(self, shows: Mask, tiles: Mask, tracks: Boxes, at: datetime) -> bool:
        """Whether to search the whole for a track that no tile holds whole, or for something that one of all
        tiles `shows` and that the `tiles` that are searched leave out.
        """
        if self._small or not len(tiles) or not self._fit(tracks):
            return True
        last = self._searched[0]
        is_due = last is None or _is_due(last + self._whole_every, at, self._whole_every)
        return is_due and bool((shows & ~tiles).any())

    def _whole_matters(self, changed: Shares, tracks: Boxes) -> bool:
        """Whether the whole picture may show something new, or a track that has to be followed."""
        return len(tracks) > 0 or bool(changed[0] >= self._still)

    def _fit(self, tracks: Boxes) -> bool:
        """Whether every track is small enough to be whole in some tile."""
        return bool((longer_sides(tracks) <= self._fits).all())

    def _overdue(self, at: datetime) -> Mask:
        """Which views to search even if they are still. Their turns are spread over time."""
        count, every = len(self._views), self._still_every
        if not every:
            return np.zeros(count, np.bool_)
        if not self._next_sweep:
            self._next_sweep = [at + every * (1 - view / count) for view in range(count)]
        overdue = [_is_due(due, at, every) for due in self._next_sweep]
        self._next_sweep = [
            at + every if over else due for over, due in zip(overdue, self._next_sweep, strict=True)
        ]
        return np.array(overdue)

    def _choose(self, held: Mask, moving: Mask) -> Mask:
        """At most TILES_PER_FRAME tiles: those that hold a track, then the moving ones."""
        chosen = np.zeros(len(held), np.bool_)
        chosen[self._held_turn.take(np.flatnonzero(held), TILES_PER_FRAME)] = True
        left = TILES_PER_FRAME - int(chosen.sum())
        chosen[self._moving_turn.take(np.flatnonzero(moving & ~held), left)] = True
        return chosen

    def _search(self, image: Image, views: list[int]) -> list[Faces]:
        """The faces of each of these views, in pixels of the picture."""
        for view in views:
            self._changes.searched(view)
        places = [self._places[view] for view in views]
        parts = [image[top:bottom, left:right] for left, top, right, bottom in places]
        if self._tone_grey and parts and is_grey(image):
            parts = [toned(part) for part in parts]
        found = self._detector.detect_all(parts)
        return [*map(self._seen, views, found)]

    def _with_missed(self, views: list[int], seen: list[Faces], tracks: Boxes, lost: Mask) -> list[Faces]:
        """What the views of a small picture show, of the halves only what is faint or missed by the whole.

        A face is missed if the whole shows none there, nor has shown the track that is there. lost: which
        tracks it has not shown.
        """
        if not views or views == [0]:
            return seen
        halves = seen[1:] if views[0] == 0 else seen
        known = np.concatenate([seen[0].xyxy, tracks[~lost]])
        faint = [longer_sides(faces.xyxy) <= self._faint for faces in halves]
        missed = [
            ~small & (views[0] == 0) & self._is_missed(faces.xyxy, known)
            for small, faces in zip(faint, halves, strict=True)
        ]
        found = [faces.xyxy[one] for faces, one in zip(halves, missed, strict=True)]
        # Those that no half shows now as well: else they are known to the whole, and found as others later.
        self._missed = np.concatenate([tracks[lost], *found])
        kept = [faces.select(a | b) for faces, a, b in zip(halves, faint, missed, strict=True)]
        return [*seen[: len(seen) - len(halves)], *kept]

    def _is_missed(self, faces: Boxes, known: Boxes) -> Mask:
        """Which faces are small enough to be missed, and apart from those that are known."""
        apart = ~(overlap(faces, known) > TOUCHES).any(axis=1)
        return np.asarray((longer_sides(faces) <= self._most) & apart, np.bool_)

    def _seen(self, view: int, found: Faces) -> Faces:
        """What a view shows that it does not cut off, in pixels of the picture."""
        if not view or not len(found):
            return found
        left, top, right, bottom = self._places[view]
        whole = _those(found, ~_cut(found.xyxy, right - left, bottom - top, self._inner[view]))
        corner = np.array([left, top, left, top], np.float32)
        return Faces(whole.xyxy + corner, whole.score, whole.keypoints + corner[:2])


def _is_due(due: datetime, at: datetime, every: timedelta) -> bool:
    """Whether `due` has come; also after the clock was set back, when it seems far away."""
    return at >= due or at < due - every


def _inner_edges(views: Boxes, width: int, height: int) -> Mask:
    """Which of left, top, right, bottom of each view are inside the picture, (N, 4): those cut a face."""
    left, top, right, bottom = views.T
    return np.stack([left > 0, top > 0, right < width, bottom < height], axis=1)


def _cut(boxes: Boxes, width: int, height: int, inner: Mask) -> Mask:
    at_edge = np.stack(
        [boxes[:, 0] <= EDGE, boxes[:, 1] <= EDGE, boxes[:, 2] >= width - EDGE, boxes[:, 3] >= height - EDGE],
        axis=1,
    )
    return np.asarray((at_edge & inner).any(axis=1), np.bool_)


def _those(faces: Faces, some: Mask) -> Faces:
    """As `Faces.select`, which mostly is all of them."""
    return faces if some.all() else faces.select(some)


def _merge(parts: list[Faces]) -> Faces:
    """Each face once, with its best box."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return Faces.empty()
    if len(parts) == 1:
        return parts[0]
    every = Faces.joined(parts)
    return every.select(suppress(every.xyxy, every.score, DUPLICATE))


class _Turn:
    """Round robin: selects a few of many, so that each gets its turn."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
        """At most `most` of the increasing `indices`, continuing after the last one taken."""
        later = indices >= self._next
        line = np.concatenate([indices[later], indices[~later]])[:most]
        if len(line):
            self._next = int(line[-1]) + 1
        return line
