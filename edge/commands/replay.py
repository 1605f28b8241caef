"""Recordings through the same stages in one thread: lossless, deterministic, in the time of their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge.bundle import Bundle
from edge.capture import Feed, open_source
from edge.clock import Clock
from edge.config import CameraSettings, Settings
from edge.counting.pipeline import Counting, build_counting
from edge.inference.backend import AgeBackend
from edge.ops.metrics import Metrics
from edge.release.gate import Gate, MemoryStore
from edge.types import Progress, StreamEnded, WindowCounts
from edge.vision.pipeline import Vision, build_vision

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MakeVision = Callable[[CameraSettings, Settings, Bundle, Metrics], Vision]


def replay(
    settings: Settings,
    bundle: Bundle,
    backend: AgeBackend,
    *,
    beside: Path,
    clock: Clock,
    start: datetime = EPOCH,
    make_vision: MakeVision = build_vision,
    on_frame: Callable[[str, float], None] = lambda camera, offset: None,
) -> Iterator[bytes]:
    """The counts messages of the recordings that are the configuration's cameras, one after the other.

    A recording begins at `start` of event time. `on_frame` hears of every frame: its camera, and seconds
    since the recording's start. Raises SourceError on a recording that cannot be read.
    """
    metrics = Metrics(clock, [camera.name for camera in settings.cameras])
    counting = build_counting(settings, bundle, backend, metrics)
    store = MemoryStore()
    gate = Gate(
        store,
        minimum=settings.privacy.minimum,
        model_name=bundle.name,
        model_version=bundle.version,
    )
    for camera in settings.cameras:
        drops: list[str] = []
        feed = Feed(
            camera,
            partial(open_source, secrets_beside=beside, clock=clock),
            clock,
            start=start,
            on_drop=drops.append,
        )
        vision = make_vision(camera, settings, bundle, metrics)
        told = partial(on_frame, camera.name)
        for window in _windows(feed, vision, counting, camera=camera.name, drops=drops, on_frame=told):
            gate.put(window)
            yield from store.take()


def _windows(
    feed: Feed,
    vision: Vision,
    counting: Counting,
    *,
    camera: str,
    drops: list[str],
    on_frame: Callable[[float], None],
) -> Iterator[WindowCounts]:
    """The windows of one recording. Batching goes by event time here, so that nothing depends on speed."""
    first: datetime | None = None
    at: datetime | None = None
    try:
        with closing(feed.frames()) as frames:
            for frame in frames:
                at = frame.captured_at
                first = first or at
                dropped, drops[:] = Counter(drops), []
                for message in (
                    *vision.process(frame).messages,
                    Progress(camera, at, 1, dropped, frame.state),
                ):
                    yield from counting.handle(message, at.timestamp())
                on_frame((at - first).total_seconds())
        if at is not None:
            # With the frames that were lost after the last one.
            lost = Progress(camera, at, 0, Counter(drops))
            for message in (*vision.finish(), lost, StreamEnded(camera, at)):
                yield from counting.handle(message, at.timestamp())
    finally:
        vision.close()
    yield from counting.flush()
