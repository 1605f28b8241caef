"""Which tracks are visitors: how often each is looked at, whether it is a face, and when it is counted.

A track is one visitor as long as the tracker follows it, however often the person turns round. It is counted
once, when it ends or when it has lasted for `tracking.max_age`, if the tracker confirmed it, the second
opinion took it for a face, and it is no poster. A person who comes back after their track has ended is
another visitor, unless `tracking.reentry` is set and they are back soon enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from edge.bundle import Bundle
from edge.config import CameraSettings, Settings
from edge.ops.metrics import Metrics
from edge.ops.reasons import TrackEnd
from edge.quantities import Missed
from edge.types import (
    Boxes,
    FaceCrop,
    Faces,
    Foreseen,
    Frame,
    Message,
    Track,
    TrackEnded,
    TrackMissed,
    TrackState,
)
from edge.vision.attention import Gaze, Target
from edge.vision.clothes import Colours
from edge.vision.crops import BestCrops, Crop, cut_face, quality
from edge.vision.lines import Lines, Path
from edge.vision.posters import Place
from edge.vision.relations.fragments import Fragments
from edge.vision.relations.groups import Groups
from edge.vision.relations.reentry import Departed, Sights
from edge.vision.second_opinion import FaceCheck, FaceVerdict, Opinion, SecondOpinion
from edge.vision.zones import Stay, Zones

UNSETTLED_EVERY = timedelta(seconds=0.2)
"""How often a track is looked at until it is known to be a face: pictures closer in time show the same."""

GAZE_EVERY = timedelta(seconds=0.25)
"""How often a visitor is looked at where attention is measured, as long as they are in view."""

DOUBTED_EVERY = timedelta(seconds=0.6)
"""The same where all looks together deny it as far as they can: backs of heads stay for minutes."""

CLEAR = 0.75
"""Score of the first model above which a doubted track is looked at as often as a new one: it began on a blur
in a crowd, and now shows a face. Backs of heads come to at most that (1,394 frames of them)."""

HOPELESS = 0.1
"""How likely a face must be for its crop to be of use, and for a measure of where it looks."""

BLURRED = 0.2
"""How likely a face is at least in most looks at one that is missed as unclear, not as turned away."""

SETTLED = 0.8
"""Of `crops.spacing`: crops older than this are foreseen. A better one of the same moment, which would
replace them, has come by then, for looks come every half."""

JUDGED_FROM = 24.0
"""Pixels of the longer side of a face below which one that was refused is missed as too small."""

BARELY = 1.5
"""The same in sides of the smallest face that is looked for: one just above it is seen for moments only."""


@dataclass(slots=True, eq=False)
class _Visitor:
    """What is kept of a track while it lives; deleted when the track ends.

    fragment: whether it goes on where another track was lost.
    returned: whether it is a visitor who was counted and left, as far as that is known.
    looks: how often it was judged; blurred: in how many of them it was like a face. largest: pixels of the
    longer side of its largest box. handed: for the best crops, what they leave as. foreseen: those that were
    handed over ahead.
    """

    verdict: FaceVerdict
    crops: BestCrops
    path: Path
    stay: Stay
    gaze: Gaze
    sights: Sights
    next_look: datetime
    fragment: bool = False
    place: Place = field(default_factory=Place)
    confirmed: bool = False
    looks: int = 0
    blurred: int = 0
    largest: float = 0.0
    counted: bool = False
    returned: bool = False
    handed: dict[Crop, FaceCrop] = field(default_factory=dict)
    foreseen: tuple[FaceCrop, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether it is a face, in clothes that were seen."""
        return self.confirmed and self.verdict.is_face and self.sights.shows_clothes

    @property
    def is_done(self) -> bool:
        """Whether it was counted or never will be, so that no picture of it is of use any more."""
        return self.counted or self.returned or self.stay.is_staff

    def take(self, piece: _Visitor) -> None:
        """Take what is known from a track that is a piece of this one's, but the lines that it crossed."""
        self.verdict.is_face |= piece.verdict.is_face
        self.counted |= piece.counted
        self.returned |= piece.returned
        self.looks += piece.looks
        self.blurred += piece.blurred
        self.largest = max(self.largest, piece.largest)
        self.stay.take(piece.stay, piece.sights.begin)
        self.gaze.take(piece.gaze)
        if not self.is_done:
            for crop in piece.crops.best:
                self.crops.offer(crop)

    def forget_pictures(self) -> None:
        """Let go of the pictures of this track."""
        self.crops.clear()
        self.handed.clear()

    @property
    def end(self) -> TrackEnd:
        """What this track counts as, if it ended now."""
        if self.counted or self.returned:
            return TrackEnd.RECOUNTED
        if not self.confirmed:
            return TrackEnd.TOO_SHORT
        if self.stay.is_staff:
            return TrackEnd.STAFF
        is_person = self.verdict.is_face and not self.place.is_poster
        return TrackEnd.VISITOR if is_person else TrackEnd.NOT_A_FACE

    def missed(self, judged_from: float) -> Missed | None:
        """Why this track was no visit, if it ended now; None for visits, fragments, staff and pictures.

        judged_from: pixels of the longer side of a face below which it is too small.
        """
        if self.fragment or self.stay.is_staff or self.place.is_poster:
            return None
        if self.end is TrackEnd.TOO_SHORT:
            return Missed.BRIEF
        if self.end is not TrackEnd.NOT_A_FACE:
            return None
        if self.largest < judged_from:
            return Missed.SMALL
        return Missed.UNCLEAR if 2 * self.blurred > self.looks else Missed.TURNED


class Visitors:
    """The visitors of one camera; used by one thread. Every method takes tracks of the same tracker."""

    def __init__(
        self,
        camera: CameraSettings,
        *,
        opinion: SecondOpinion,
        check: FaceCheck,
        settings: Settings,
        bundle: Bundle,
        metrics: Metrics,
    ) -> None:
        self._camera = camera.name
        self._lines = Lines(camera)
        self._zones = Zones(camera)
        self._target = Target(camera, settings.attention)
        self._opinion = opinion
        self._check = check
        self._threshold = settings.detection.second_opinion
        self._max_age = timedelta(seconds=settings.tracking.max_age)
        self._crops = settings.crops
        spacing = timedelta(seconds=settings.crops.spacing)
        self._settled = SETTLED * spacing
        self._often, self._rarely = spacing / 2, spacing * 2
        if self._target.enabled:
            self._often = self._rarely = min(self._often, GAZE_EVERY)
        self._bundle = bundle
        self._metrics = metrics
        self._visitors: dict[int, _Visitor] = {}
        self._uncounted: list[int] = []
        self._departed = Departed(settings.tracking.reentry)
        self._groups = Groups(camera.name, enabled=settings.groups.enabled)
        self._fragments = Fragments(settings.tracking.lost_after) if settings.missed.enabled else None
        self._judged_from = max(JUDGED_FROM, BARELY * settings.detection.min_face)

    def join(self, ended: Iterable[Track]) -> None:
        """Give to visitors whose tracks were lost what is known from those that resume them, which ended.

        To be called before `look` at the same frame.
        """
        for track in ended:
            if track.resumes is None:
                continue
            visitor, piece = self._visitors[track.resumes], self._visitors.pop(track.track_id)
            visitor.take(piece)
            if self._fragments:
                self._fragments.replace(piece.sights, visitor.sights)
            self._groups.end(track.track_id, track.last_seen, counted=False)
            if piece.foreseen:
                self._uncounted.append(track.track_id)

    def look(self, frame: Frame, faces: Faces, tracks: Sequence[Track], worn: Colours) -> None:
        """Look again at the live tracks that this frame shows and that are due; keep their best crops.

        worn: float32 (N, 3), `edge.vision.clothes` of each face.
        """
        at, size = frame.captured_at, frame.image.shape[1::-1]
        self._departed.pass_time(at)
        if self._fragments:
            self._fragments.pass_time(at)
        self._groups.see([(t.track_id, t.xyxy) for t in tracks if t.face is not None], at)
        shown: list[_Visitor] = []
        due: list[tuple[_Visitor, Boxes]] = []
        for track in tracks:
            visitor = self._of(track, at)
            visitor.confirmed |= track.state is TrackState.CONFIRMED
            if track.face is None:
                continue
            visitor.path.see(track.xyxy, size, at)
            visitor.stay.see(track.xyxy, size, at)
            visitor.sights.see(track.xyxy, worn[track.face] if self._departed.enabled else None, at)
            shown.append(visitor)
            if not visitor.counted and self._is_due(visitor, float(faces.score[track.face]), at):
                due.append((visitor, track.xyxy))
        self._look_at(due, frame)
        for visitor in shown:
            self._ask_whether_returned(visitor)

    def forget_departed(self) -> None:
        """The picture shows another place: nobody comes back there."""
        self._departed.forget()
        if self._fragments:
            self._fragments.forget()

    def count_ended(self, tracks: Iterable[Track]) -> Iterator[Message]:
        """Count these tracks, which have ended, as visits or missed, unless counted before; forget them."""
        for track in tracks:
            visitor = self._visitors.pop(track.track_id, None)
            if visitor is not None:
                visitor.sights.ended = True
                self._ask_whether_returned(visitor)
                yield from self._count(track, visitor)
                yield from self._missed(track, visitor)
                if visitor.end is TrackEnd.RECOUNTED:
                    self._departed.add(visitor.sights)
                self._groups.end(track.track_id, track.last_seen, counted=visitor.counted)
                if visitor.foreseen and not visitor.counted:
                    self._uncounted.append(track.track_id)

    def foresee(self, now: datetime) -> list[Foreseen]:
        """The crops that those in view will most likely be counted with, where they are others than before:
        the best, once they are settled.
        """
        changed = [Foreseen(self._camera, track_id, ()) for track_id in self._uncounted]
        self._uncounted.clear()
        for track_id, visitor in self._visitors.items():
            if visitor.end is TrackEnd.VISITOR:
                handed = self._hand_over(track_id, visitor)
                foreseen = tuple(f for c, f in handed.items() if now - c.taken_at >= self._settled)
            else:
                foreseen = ()
                visitor.handed.clear()
            if visitor.is_done:
                visitor.forget_pictures()
            if foreseen != visitor.foreseen:
                visitor.foreseen = foreseen
                changed.append(Foreseen(self._camera, track_id, foreseen))
        return changed

    def _hand_over(self, track_id: int, visitor: _Visitor) -> dict[Crop, FaceCrop]:
        """What the best crops leave as, the best first: the same objects whenever they are asked for."""
        before = visitor.handed
        visitor.handed = {
            crop: before.get(crop) or FaceCrop(self._camera, track_id, crop.image, crop.quality)
            for crop in visitor.crops.best
        }
        return visitor.handed

    def _ask_whether_returned(self, visitor: _Visitor) -> None:
        may_have = self._departed.enabled and not visitor.counted and not visitor.returned
        if may_have and visitor.is_known:
            visitor.returned = self._departed.take_back(visitor.sights)

    def _missed(self, track: Track, visitor: _Visitor) -> Iterator[TrackMissed]:
        """A track that has ended and was no visit, where `[missed]` is enabled."""
        if self._fragments and not visitor.counted and (reason := visitor.missed(self._judged_from)):
            yield TrackMissed(self._camera, track.last_seen, reason)

    def groups(self, now: datetime | None) -> Iterator[Message]:
        """The groups that are known by now; None: nobody comes any more."""
        return self._groups.complete(now)

    def count_overdue(self, tracks: Iterable[Track]) -> Iterator[Message]:
        """Count the live tracks that have lasted for `tracking.max_age`, once each; no group awaits them."""
        for track in tracks:
            if track.last_seen - track.first_seen < self._max_age:
                continue
            visitor = self._visitors[track.track_id]
            if visitor.end is TrackEnd.VISITOR:
                yield from self._count(track, visitor)
            self._groups.settle(track.track_id, track.last_seen, counted=visitor.counted)

    def in_view(self, tracks: Iterable[Track]) -> int:
        """How many of the live tracks are known to be faces."""
        return sum(self._visitors[track.track_id].verdict.is_face for track in tracks)

    def _of(self, track: Track, now: datetime) -> _Visitor:
        visitor = self._visitors.get(track.track_id)
        if visitor is None:
            crops = BestCrops(self._crops.per_visitor, self._crops.spacing)
            visitor = _Visitor(
                FaceVerdict(self._threshold),
                crops,
                self._lines.begin(),
                self._zones.begin(),
                self._target.begin(),
                Sights.at(track.xyxy, now),
                next_look=now,
            )
            if self._fragments:
                visitor.fragment = self._fragments.begin(visitor.sights) is not None
            self._visitors[track.track_id] = visitor
        return visitor

    def _is_due(self, visitor: _Visitor, score: float, now: datetime) -> bool:
        """Whether to look again; also after the clock was set back, when the next look seems far away."""
        wait = visitor.next_look - now
        verdict = visitor.verdict
        if verdict.doubted and not verdict.is_face and score > CLEAR:
            wait -= DOUBTED_EVERY - UNSETTLED_EVERY
        return wait <= timedelta(0) or wait > max(DOUBTED_EVERY, self._rarely)

    def _pause(self, visitor: _Visitor) -> timedelta:
        """Time until the next look: once there are enough crops, few are better."""
        if not visitor.verdict.is_face:
            return DOUBTED_EVERY if visitor.verdict.doubted else UNSETTLED_EVERY
        return self._rarely if visitor.crops.full or visitor.is_done else self._often

    def _look_at(self, due: Sequence[tuple[_Visitor, Boxes]], frame: Frame) -> None:
        """Ask for second opinions on these faces, and keep the crops of those that the second model saw well.

        First all looks of one network, then all of the next: each empties the caches.
        """
        hopeful = [(visitor, box) for visitor, box in due if self._may_be_face(visitor, frame, box)]
        boxes = np.array([box for _, box in hopeful], np.float32).reshape(-1, 4)
        opinions = self._opinion.examine(frame.image, boxes)
        for (visitor, _), opinion in zip(hopeful, opinions, strict=True):
            visitor.gaze.see(opinion, frame.captured_at)
            if opinion.saw_face and not visitor.is_done:
                crop = self._crop(frame, opinion)
                if crop.quality >= self._crops.min_quality:
                    visitor.crops.offer(crop)

    def _may_be_face(self, visitor: _Visitor, frame: Frame, box: Boxes) -> bool:
        """Note a look at one face; whether a closer one may be of use."""
        likely = None if visitor.verdict.is_face else self._judge(visitor, frame, box)
        visitor.largest = max(visitor.largest, float((box[2:] - box[:2]).max()))
        visitor.place.add(box, frame.captured_at)
        visitor.next_look = frame.captured_at + self._pause(visitor)
        if likely is not None and likely < min(HOPELESS, self._threshold):
            visitor.gaze.see(Opinion.no_face(box), frame.captured_at)
            return False
        return True

    def _judge(self, visitor: _Visitor, frame: Frame, box: Boxes) -> float:
        """Add this look to the verdict; how likely it shows a face, 0..1."""
        likely = self._check(frame.image, box)
        visitor.looks += 1
        visitor.blurred += likely >= BLURRED
        visitor.verdict.add(likely)
        return likely

    def _crop(self, frame: Frame, opinion: Opinion) -> Crop:
        image = cut_face(frame.image, opinion.xyxy, self._bundle.crop_scale, self._bundle.input_size)
        worth = quality(image, opinion.xyxy, opinion.keypoints) * opinion.score
        return Crop(image, worth, frame.captured_at)

    def _count(self, track: Track, visitor: _Visitor) -> Iterator[Message]:
        """The crops and the end of a track, where it is a visitor who was not counted before."""
        self._metrics.tracks.labels(self._camera, visitor.end).inc()
        if visitor.end is not TrackEnd.VISITOR:
            return
        visitor.counted, visitor.foreseen = True, ()
        crops = list(self._hand_over(track.track_id, visitor).values())
        visitor.forget_pictures()
        yield from crops
        yield TrackEnded(
            self._camera,
            track.track_id,
            track.last_seen,
            track.last_seen - track.first_seen,
            visitor.path.crossings(),
            (*visitor.stay.contributions(), *visitor.gaze.contributions()),
            visitor.stay.zone,
        )
