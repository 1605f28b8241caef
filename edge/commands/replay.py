"""Recordings through the same stages in one thread: lossless, deterministic, in the time of their frames."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge.bundle import Bundle
from edge.capture import Feed, open_source
from edge.clock import Clock, SystemClock
from edge.commands.options import add_common, config_folder
from edge.commands.recordings import add_clips, age_model, load_recordings
from edge.config import CameraSettings, Settings
from edge.counting.pipeline import Counting, build_counting
from edge.delivery import Topics
from edge.inference.backend import AgeBackend
from edge.ops.metrics import Metrics
from edge.ops.terminal import progress_bars
from edge.release.gate import Gate, MemoryStore
from edge.release.messages import Model
from edge.release.rule import Rule
from edge.types import CameraState, Message, Progress, StreamEnded, WindowCounts
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
    """What the gate releases of all recordings, which are the configuration's cameras, one after another.

    start: event time at which each recording begins. on_frame: called after every frame with its camera and
    the seconds since the recording's start. Raises SourceError on a recording that cannot be read.
    """
    metrics = Metrics(clock, [camera.name for camera in settings.cameras])
    counting = build_counting(settings, bundle, backend, metrics)
    store = MemoryStore()
    rule = Rule.of(settings, Model(name=bundle.name, version=bundle.version))
    rule = replace(rule, in_box=frozenset())  # recordings are no store: nothing is summed over them
    gate = Gate(store, rule, Topics(settings.mqtt.prefix, settings.site.name, settings.box))
    for camera in settings.cameras:
        recording = _Recording(camera, beside, clock, start)
        with closing(make_vision(camera, settings, bundle, metrics)) as vision:
            messages = recording.messages(vision, partial(on_frame, camera.name))
            for window in _windows(messages, counting):
                gate.put(window)
                yield from store.take()


class _Recording:
    """One recording, and the frames that were lost of it."""

    def __init__(self, camera: CameraSettings, beside: Path, clock: Clock, start: datetime) -> None:
        self._camera = camera.name
        self._lost: list[str] = []
        source = partial(open_source, secrets_beside=beside, clock=clock)
        self._feed = Feed(camera, source, clock, start=start, on_drop=self._lost.append)

    def messages(
        self, vision: Vision, on_frame: Callable[[float], None]
    ) -> Iterator[tuple[Message, datetime]]:
        """All that its frames give, in order, each message with its event time."""
        first: datetime | None = None
        at: datetime | None = None
        with closing(self._feed.frames()) as frames:
            for frame in frames:
                at = frame.captured_at
                first = first or at
                for message in (*vision.process(frame).messages, self._progress(at, 1, frame.state)):
                    yield message, at
                on_frame((at - first).total_seconds())
        if at is not None:
            # With the frames that were lost after the last one.
            for message in (*vision.finish(), self._progress(at, 0), StreamEnded(self._camera, at)):
                yield message, at

    def _progress(self, at: datetime, analysed: int, state: CameraState = CameraState.UP) -> Progress:
        lost, self._lost[:] = Counter(self._lost), []
        return Progress(self._camera, at, analysed, lost, state)


def _windows(messages: Iterable[tuple[Message, datetime]], counting: Counting) -> Iterator[WindowCounts]:
    """The windows of one recording. Batching goes by event time here, so that nothing depends on speed."""
    for message, at in messages:
        yield from counting.handle(message, at.timestamp())
    yield from counting.flush()


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    examples = [
        "instore-edge replay entrance.mp4 --set privacy.minimum=1",
        "instore-edge replay entrance.mp4 till.mp4 --start 2026-01-31T08:00:00Z > windows.jsonl",
    ]
    add_common(parser, examples)
    add_clips(parser)
    parser.add_argument(
        "--start",
        type=_moment,
        metavar="TIME",
        default=EPOCH,
        help="when each recording begins (default: 1970-01-01T00:00:00Z)",
    )
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    settings, folder = load_recordings(arguments), config_folder(arguments)
    with age_model(settings, folder) as (bundle, backend), progress_bars("s") as progress:
        messages = replay(
            settings,
            bundle,
            backend,
            beside=folder,
            clock=SystemClock(),
            start=arguments.start,
            on_frame=progress,
        )
        for message in messages:
            sys.stdout.write(message.decode() + "\n")
            sys.stdout.flush()
    return 0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time with a time zone; an example is 2026-01-31T08:00:00Z"
        )
    return moment.astimezone(UTC)
