"""The stages put together, without threads or clocks: the drivers call, the stages answer.

Frame ──► Vision: detect ► track ► second opinion ► best crops ──► FaceCrop, TrackEnded
FaceCrop, TrackEnded, Progress, StreamEnded, Plan ──► Counting: classify ► aggregate ──► WindowCounts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import numpy as np

from edge.bundle import Bundle
from edge.config import CameraSettings, CropSettings, Settings
from edge.ops.metrics import Metrics
from edge.types import (
    Boxes,
    FaceCrop,
    Faces,
    Frame,
    Message,
    Track,
    TrackEnded,
    TrackState,
)
from edge.vision.crops import BestShots, Shot, cut_face, quality
from edge.vision.detect import Scanner, SharedDetectors
from edge.vision.second_opinion import SecondOpinion, Verdict
from edge.vision.track import Tracker, TrackerSettings

GLANCE_EVERY = timedelta(seconds=0.2)
"""Until a track is settled to be a face, it is looked at this often: nearer glances say the same twice."""


@dataclass(slots=True, eq=False)
class _Visitor:
    """What is kept of a track while it lives; it goes when the track ends."""

    verdict: Verdict
    shots: BestShots
    next_glance: datetime
    confirmed: bool = False
    counted: bool = False


@dataclass(slots=True)
class VisionResult:
    """What one frame gave. in_view: visitors seen to be faces and not yet gone."""

    messages: list[Message] = field(default_factory=list)
    in_view: int = 0


class Vision:
    """Everything that happens to the frames of one camera; used by one thread."""

    def __init__(
        self,
        camera: CameraSettings,
        *,
        scanner: Scanner,
        opinion: SecondOpinion,
        settings: Settings,
        bundle: Bundle,
        metrics: Metrics,
    ) -> None:
        self._camera = camera.name
        self._scanner = scanner
        self._opinion = opinion
        self._crops: CropSettings = settings.crops
        self._threshold = settings.detection.second_opinion
        self._max_age = timedelta(seconds=settings.tracking.max_age)
        spacing = timedelta(seconds=settings.crops.spacing)
        self._often, self._rarely = spacing / 2, spacing * 2
        self._bundle = bundle
        self._metrics = metrics
        self._tracker = Tracker(
            TrackerSettings(
                confirm_hits=settings.tracking.confirm_hits, lost_after=settings.tracking.lost_after
            )
        )
        self._tracks: list[Track] = []
        self._visitors: dict[int, _Visitor] = {}

    def process(self, frame: Frame) -> VisionResult:
        """Find, follow and picture the visitors of one frame."""
        with self._metrics.timed("detect"):
            expected = _boxes(self._tracks)
            faces = self._scanner.scan(frame.image, frame.captured_at, expected)
        with self._metrics.timed("track"):
            tracks = self._tracker.update(faces, frame.captured_at)
        self._tracks = [t for t in tracks if t.state is not TrackState.REMOVED]
        with self._metrics.timed("crops"):
            self._picture(frame, faces)
        self._metrics.faces.labels(self._camera).inc(len(faces))
        over = [t for t in tracks if t.state is TrackState.REMOVED]
        messages = [*self._too_old(), *self._ended(over)]
        return VisionResult(messages, self._count_in_view())

    def pass_time(self, now: datetime) -> VisionResult:
        """End the tracks of a camera that gives no frames: what is not seen is gone at `now` all the same."""
        tracks = self._tracker.update(Faces.empty(), now)
        self._tracks = [t for t in tracks if t.state is not TrackState.REMOVED]
        over = [t for t in tracks if t.state is TrackState.REMOVED]
        return VisionResult(list(self._ended(over)), self._count_in_view())

    def finish(self) -> list[Message]:
        """End every track: no more frames will come."""
        ended = self._tracker.finish()
        self._tracks = []
        self._count_in_view()
        return list(self._ended(ended))

    def close(self) -> None:
        """Give the detectors back."""
        self._scanner.close()
        self._opinion.close()

    def _count_in_view(self) -> int:
        here = sum(self._visitors[t.track_id].verdict.is_face for t in self._tracks)
        self._metrics.in_view.labels(self._camera).set(here)
        return here

    def _picture(self, frame: Frame, faces: Faces) -> None:
        """Look again at the tracks that this frame shows, and keep what is worth judging."""
        for track in self._tracks:
            visitor = self._visitors.get(track.track_id)
            if visitor is None:
                visitor = self._visitors[track.track_id] = self._visitor(frame.captured_at)
            visitor.confirmed |= track.state is TrackState.CONFIRMED
            if track.face is None or visitor.counted or not self._due(visitor, frame.captured_at):
                continue
            self._glance(visitor, frame, faces.xyxy[track.face], float(faces.score[track.face]))

    def _due(self, visitor: _Visitor, now: datetime) -> bool:
        """Whether to look again; also after the clock was set back, when the next glance seems far away."""
        wait = visitor.next_glance - now
        return wait <= timedelta(0) or wait > max(GLANCE_EVERY, self._rarely)

    def _pause(self, visitor: _Visitor) -> timedelta:
        """Until the next glance: once there are enough pictures, few are better."""
        if not visitor.verdict.is_face:
            return GLANCE_EVERY
        return self._rarely if visitor.shots.full else self._often

    def _visitor(self, now: datetime) -> _Visitor:
        shots = BestShots(self._crops.per_visitor, self._crops.spacing)
        return _Visitor(Verdict(self._threshold), shots, next_glance=now)

    def _glance(self, visitor: _Visitor, frame: Frame, box: Boxes, score: float) -> None:
        opinion = self._opinion.judge(frame.image, box)
        visitor.verdict.hear(score, opinion.score)
        visitor.next_glance = frame.captured_at + self._pause(visitor)
        if not len(opinion.keypoints):
            return
        crop = cut_face(frame.image, opinion.xyxy, self._bundle.crop_scale, self._bundle.input_size)
        worth = quality(crop, opinion.xyxy, opinion.keypoints) * opinion.score
        if worth >= self._crops.min_quality:
            visitor.shots.offer(Shot(crop, worth, frame.captured_at))

    def _too_old(self) -> Iterator[Message]:
        """Count those who stay for longer than a track may last, once."""
        for track in self._tracks:
            visitor = self._visitors[track.track_id]
            if track.last_seen - track.first_seen >= self._max_age and not visitor.counted:
                yield from self._tell(track, visitor)

    def _ended(self, tracks: Iterable[Track]) -> Iterator[Message]:
        for track in tracks:
            visitor = self._visitors.pop(track.track_id, None)
            if visitor is not None:
                yield from self._tell(track, visitor)

    def _tell(self, track: Track, visitor: _Visitor) -> Iterator[Message]:
        """Pass a track on if it is a visitor who was not counted before."""
        fate = _fate(visitor)
        if fate == "visitor" or track.state is TrackState.REMOVED:
            self._metrics.tracks.labels(self._camera, fate).inc()
        if fate != "visitor":
            return
        visitor.counted = True
        for shot in visitor.shots.shots:
            yield FaceCrop(self._camera, track.track_id, shot.image, shot.quality)
        yield TrackEnded(self._camera, track.track_id, track.last_seen, track.last_seen - track.first_seen)


def _fate(visitor: _Visitor) -> str:
    """What becomes of a track, as the metrics name it."""
    if visitor.counted:
        return "recounted"
    if not visitor.confirmed:
        return "too_short"
    return "visitor" if visitor.verdict.is_face else "not_a_face"


def _boxes(tracks: Sequence[Track]) -> Boxes:
    return np.array([t.xyxy for t in tracks], np.float32).reshape(-1, 4)


def build_eyes(
    camera: CameraSettings, settings: Settings, detectors: SharedDetectors | None = None
) -> tuple[Scanner, SecondOpinion]:
    """What finds a camera's faces, with MediaPipe's models: its own, unless it shares `detectors`."""
    from edge.vision.detect.mediapipe import MediaPipeDetector

    detectors = detectors or SharedDetectors(1)
    detection = settings.detection
    key = camera.range, detection.min_score
    scanner = Scanner(
        detectors.open(key, partial(MediaPipeDetector, *key)),
        tile=camera.tile,
        full_scan_every=detection.full_scan_every,
        min_face=detection.min_face,
        still_scan_every=detection.still_scan_every,
    )
    # As low as it goes: the second opinion wants a score, also a poor one.
    opinion = detectors.open("second opinion", partial(MediaPipeDetector, "near", 0.05))
    return scanner, SecondOpinion(opinion)


def build_vision(
    camera: CameraSettings,
    settings: Settings,
    bundle: Bundle,
    metrics: Metrics,
    *,
    detectors: SharedDetectors | None = None,
) -> Vision:
    """The vision of one camera; call it in the thread that will use it."""
    scanner, opinion = build_eyes(camera, settings, detectors)
    return Vision(camera, scanner=scanner, opinion=opinion, settings=settings, bundle=bundle, metrics=metrics)
