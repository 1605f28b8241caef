"""Runs recordings through the stages in one thread: lossless, deterministic, in the time of their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge.bundle import Bundle, bundle_folder, load_bundle, load_confusion
from edge.capture import Feed, Source, open_source
from edge.clock import Clock
from edge.config import CameraSettings, Settings, state_directory
from edge.counting.pipeline import Counting, build_counting
from edge.daemon.parts import OpenSource
from edge.delivery import Topics
from edge.errors import SourceError
from edge.inference import open_configured
from edge.inference.backend import AgeBackend
from edge.inference.engine_store import EngineStore
from edge.ops.metrics import Metrics
from edge.release.correction import Correction
from edge.release.gate import Gate, MemoryStore
from edge.release.messages import Model
from edge.release.rule import Rule
from edge.types import CameraState, Frame, Message, Progress, StreamEnded, TrackEnded, WindowCounts
from edge.vision.pipeline import Vision, build_vision

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _raise(fault: SourceError) -> None:
    raise fault


MakeVision = Callable[[CameraSettings, Settings, Bundle, Metrics], Vision]


def replay(
    settings: Settings,
    bundle: Bundle,
    backend: AgeBackend,
    *,
    beside: Path,
    clock: Clock,
    start: datetime = EPOCH,
    metrics: Metrics | None = None,
    open_source: OpenSource = open_source,
    make_vision: MakeVision = build_vision,
    on_frame: Callable[[str, float], None] = lambda camera, offset: None,
    on_fault: Callable[[SourceError], None] = _raise,
) -> Iterator[bytes]:
    """The messages that the gate releases for the configuration's cameras, which are recordings, in turn.

    start: event time at which each recording begins. metrics: the series that are counted in, if the caller
    reads them. on_frame: called after every frame with its camera and the seconds since its start.
    on_fault: called for a recording that cannot be read, or not to its end, when what it gave is counted; it
    raises the error unless the caller decides otherwise, and the others follow.
    """
    metrics = metrics or Metrics(clock, [camera.name for camera in settings.cameras])
    counting = build_counting(settings, bundle, backend, metrics)
    store = MemoryStore()
    rule = Rule.of(settings, Model(name=bundle.name, version=bundle.version))
    rule = replace(rule, in_box=frozenset())  # recordings are no store: nothing is summed over them
    correction = Correction(rule.model, load_confusion(bundle))
    gate = Gate(store, rule, Topics.of(settings), correction=correction)
    for camera in settings.cameras:
        recording = _Recording(camera, partial(open_source, secrets_beside=beside, clock=clock), clock, start)
        with closing(make_vision(camera, settings, bundle, metrics)) as vision:
            messages = recording.messages(vision, partial(on_frame, camera.name))
            for window in _windows(messages, counting):
                gate.put(window)
                yield from store.take()
        if recording.fault is not None:
            on_fault(recording.fault)


def visitors(
    camera: CameraSettings,
    settings: Settings,
    *,
    beside: Path,
    clock: Clock,
    open_source: OpenSource = open_source,
    make_vision: MakeVision = build_vision,
    on_frame: Callable[[str, float], None] = lambda camera, offset: None,
) -> int:
    """How many visitors a recording has; no age is estimated. Raises ConfigurationError and SourceError."""
    bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
    metrics = Metrics(clock, [camera.name])
    recording = _Recording(camera, partial(open_source, secrets_beside=beside, clock=clock), clock, EPOCH)
    with closing(make_vision(camera, settings, bundle, metrics)) as vision:
        messages = recording.messages(vision, partial(on_frame, camera.name))
        found = sum(isinstance(message, TrackEnded) for message, _ in messages)
    if recording.fault is not None:
        raise recording.fault
    return found


class _Recording:
    """One recording, the frames that were lost of it, and the fault that it ended with."""

    def __init__(
        self,
        camera: CameraSettings,
        source: Callable[[CameraSettings], Source],
        clock: Clock,
        start: datetime,
    ) -> None:
        self._camera = camera.name
        self._lost: list[str] = []
        self._feed = Feed(camera, source, clock, start=start, on_drop=self._lost.append)
        self.fault: SourceError | None = None

    def messages(
        self, vision: Vision, on_frame: Callable[[float], None]
    ) -> Iterator[tuple[Message, datetime]]:
        """All that its frames give, in order, each message with its event time."""
        first: datetime | None = None
        at: datetime | None = None
        for frame in self._frames():
            at = frame.captured_at
            first = first or at
            for message in (*vision.process(frame).messages, self._progress(at, 1, frame.state)):
                yield message, at
            on_frame((at - first).total_seconds())
        if at is not None:
            # With the frames that were lost after the last one.
            for message in (*vision.finish(), self._progress(at, 0), StreamEnded(self._camera, at)):
                yield message, at

    def _frames(self) -> Iterator[Frame]:
        with closing(self._feed.frames()) as frames:
            try:
                yield from frames
            except SourceError as fault:
                self.fault = fault

    def _progress(self, at: datetime, analysed: int, state: CameraState = CameraState.UP) -> Progress:
        lost, self._lost[:] = Counter(self._lost), []
        return Progress(self._camera, at, analysed, lost, state)


def _windows(messages: Iterable[tuple[Message, datetime]], counting: Counting) -> Iterator[WindowCounts]:
    """The windows of one recording. Batching goes by event time here, so that nothing depends on speed."""
    for message, at in messages:
        yield from counting.handle(message, at.timestamp())
        yield from counting.poll(at.timestamp())
    yield from counting.flush()


@contextmanager
def age_model(settings: Settings, folder: Path) -> Iterator[tuple[Bundle, AgeBackend]]:
    """The configured bundle and a backend that runs it, with the daemon's engines; closed at the end.

    folder: where relative paths of the configuration start. Raises ConfigurationError and BackendError.
    """
    bundle = load_bundle(bundle_folder(settings.model.bundle, folder))
    with closing(_open_backend(settings, bundle, folder)) as backend:
        yield bundle, backend


def _open_backend(settings: Settings, bundle: Bundle, beside: Path) -> AgeBackend:
    """The backend that is configured, with the daemon's engines."""
    engines = EngineStore(state_directory(settings, beside) / "engines", [bundle.folder / "engines"])
    return open_configured(settings.model, bundle, store=engines)
