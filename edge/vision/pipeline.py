"""The stages of vision put together, without threads or clocks: frames in, crops and ended tracks out.

Frame ──► detect ──► track ──► visitors: second opinion, best crops ──► FaceCrop, TrackEnded
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np

from edge.bundle import Bundle
from edge.config import CameraSettings, Settings
from edge.ops.metrics import Metrics
from edge.types import Boxes, Faces, Foreseen, Frame, Image, Message, Track, TrackState
from edge.vision.clothes import Colours, colours, patches, with_parts
from edge.vision.cuts import Cuts
from edge.vision.detect import (
    FaceDetector,
    Scanner,
    SharedDetectors,
    detectors_on,
    engine_of,
    tile_side,
    why_too_small,
)
from edge.vision.detect.networks import LOWEST_SCORE
from edge.vision.second_opinion import FaceCheck, SecondOpinion, network_check
from edge.vision.track import Tracker, TrackerSettings
from edge.vision.track.blocks import Blocks, blocks
from edge.vision.visitors import Visitors

log = logging.getLogger(__name__)


@dataclass(slots=True)
class VisionResult:
    """What one frame gave. in_view: visitors known to be faces whose track has not ended. foreseen: what is
    likely to be counted later, in addition to `messages`.
    """

    messages: list[Message] = field(default_factory=list)
    in_view: int = 0
    foreseen: list[Foreseen] = field(default_factory=list)


class Vision:
    """Everything that happens to the frames of one camera; used by one thread."""

    def __init__(
        self,
        camera: CameraSettings,
        *,
        scanner: Scanner,
        opinion: SecondOpinion,
        check: FaceCheck,
        settings: Settings,
        bundle: Bundle,
        metrics: Metrics,
    ) -> None:
        self._camera = camera.name
        self._scanner = scanner
        self._opinion = opinion
        self._metrics = metrics
        tracking = settings.tracking
        self._tracker = Tracker(
            TrackerSettings(confirm_hits=tracking.confirm_hits, lost_after=tracking.lost_after)
        )
        self._visitors = Visitors(
            camera, opinion=opinion, check=check, settings=settings, bundle=bundle, metrics=metrics
        )
        self._tracks: list[Track] = []
        self._cuts = Cuts()
        self._segment = 0
        self._size: tuple[int, ...] = ()
        self._min_face = settings.detection.min_face

    def process(self, frame: Frame) -> VisionResult:
        """Find and follow the faces of one frame; count the visitors whose tracks end with it."""
        before = self._begin(frame)
        with self._metrics.timed("detect"):
            faces = self._scanner.scan(frame.image, frame.captured_at, _boxes(self._tracks))
        with self._metrics.timed("track"):
            worn = colours(frame.image, faces.xyxy)
            parts = with_parts(frame.image, faces.xyxy, worn)
            of_parts = patches(frame.image, faces.xyxy, worn)
            shown = blocks(frame.image, faces.xyxy)
            ended = self._follow(faces, frame.captured_at, worn, parts, of_parts, blocks=shown)
        self._visitors.join(ended)
        with self._metrics.timed("crops"):
            self._visitors.look(frame, faces, self._tracks, worn)
        self._metrics.faces.labels(self._camera).inc(len(faces))
        overdue = self._visitors.count_overdue(self._tracks)
        messages = [*before, *overdue, *self._count(ended, frame.captured_at)]
        return VisionResult(messages, self._in_view, self._visitors.foresee(frame.captured_at))

    def pass_time(self, now: datetime) -> VisionResult:
        """End the tracks that are not seen any more at `now`, for a camera that gives no frames."""
        ended = self._follow(Faces.empty(), now)
        return VisionResult(self._count(ended, now), self._in_view, self._visitors.foresee(now))

    def finish(self) -> list[Message]:
        """End every track: no more frames will come."""
        return self._end_tracks()

    def _end_tracks(self) -> list[Message]:
        ended, self._tracks = self._tracker.finish(), []
        return self._count(ended, None)

    def _count(self, ended: list[Track], now: datetime | None) -> list[Message]:
        """What the end of these tracks gives; now: None where nobody of this picture comes any more."""
        return [*self._visitors.count_ended(ended), *self._visitors.groups(now)]

    def _begin(self, frame: Frame) -> list[Message]:
        """End every track where another segment begins, or the picture has another place or size."""
        resized, cut = self._is_resized(frame.image), self._cuts.is_cut(frame.image, frame.captured_at)
        if not resized and not cut and frame.segment == self._segment:
            return []
        self._segment = frame.segment
        self._scanner.restart()
        ended = self._end_tracks()
        self._visitors.forget_departed()
        return ended

    def _is_resized(self, image: Image) -> bool:
        """Whether this picture has another size than the one before, or is the first; warn of a small one."""
        before, self._size = self._size, image.shape[:2]
        if self._size == before:
            return False
        if small := why_too_small(image, self._min_face):
            log.warning("camera %r: %s", self._camera, small)
        return True

    def close(self) -> None:
        """Release the detectors."""
        self._scanner.close()
        self._opinion.close()

    def _follow(
        self, faces: Faces, at: datetime, *clothes: Colours, blocks: Blocks | None = None
    ) -> list[Track]:
        """Continue the tracks with the faces of the moment `at`; the tracks that have ended."""
        tracks = self._tracker.update(faces, at, *clothes, blocks=blocks)
        self._tracks = [track for track in tracks if track.state is not TrackState.REMOVED]
        return [track for track in tracks if track.state is TrackState.REMOVED]

    @property
    def _in_view(self) -> int:
        return self._visitors.in_view(self._tracks)


def _boxes(tracks: Sequence[Track]) -> Boxes:
    return np.array([track.xyxy for track in tracks], np.float32).reshape(-1, 4)


def build_detection(
    camera: CameraSettings, settings: Settings, detectors: SharedDetectors | None = None
) -> tuple[Scanner, SecondOpinion]:
    """The face detection of a camera with MediaPipe's networks: its own, unless it shares `detectors`."""
    detectors = detectors or SharedDetectors(1)
    detection = settings.detection
    (searching, search), (looking, look) = _networks(camera, settings, detectors)
    scanner = Scanner(
        detectors.open(searching, search),
        tile=tile_side(camera.tile, detection.min_face),
        full_scan_every=detection.full_scan_every,
        min_face=detection.min_face,
        still_scan_every=detection.still_scan_every,
        tone_grey=True,
    )
    return scanner, SecondOpinion(detectors.open(looking, look))


def open_ahead(cameras: Sequence[CameraSettings], settings: Settings, detectors: SharedDetectors) -> None:
    """Open the networks that the visions of these cameras will share, before these are built.

    Raises ConfigurationError on a network that is not the shipped one.
    """
    for camera in cameras:
        for key, make in _networks(camera, settings, detectors):
            detectors.open_ahead(key, make)
    network_check()


def _networks(
    camera: CameraSettings, settings: Settings, detectors: SharedDetectors
) -> tuple[tuple[Hashable, Callable[[], FaceDetector]], ...]:
    """What a camera searches with, and what it looks closer with: the key of each, and what opens it."""
    detection = settings.detection
    detector = detectors_on(engine_of(detection.engine), detectors.served)
    key = camera.range, detection.min_score
    return (key, partial(detector, *key)), ("second opinion", partial(detector, "near", LOWEST_SCORE))


def build_vision(
    camera: CameraSettings,
    settings: Settings,
    bundle: Bundle,
    metrics: Metrics,
    *,
    detectors: SharedDetectors | None = None,
    check: FaceCheck | None = None,
) -> Vision:
    """The vision of one camera; call it in the thread that will use it. check: None for the shipped one."""
    scanner, opinion = build_detection(camera, settings, detectors)
    return Vision(
        camera,
        scanner=scanner,
        opinion=opinion,
        check=check or network_check(),
        settings=settings,
        bundle=bundle,
        metrics=metrics,
    )
