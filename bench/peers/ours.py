"""InStore: `replay`, in one thread, on frames from memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.peers.common import held, measured, open_model
from edge.capture import Picture, RateLimit
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.commands.replay_driver import replay
from edge.config import load_settings
from edge.ops.metrics import Metrics
from edge.release.messages import COUNTS
from edge.types import Image
from edge.vision.detect import SharedDetectors
from edge.vision.pipeline import Vision, build_vision

CLIP_FPS = 25.0


class Kept:
    """A recording in memory that keeps at most `max_fps` pictures a second, as a file does."""

    live = False
    corrupt = 0

    def __init__(self, images: list[Image], max_fps: float) -> None:
        self._left = enumerate(images)
        self._rate = RateLimit(max_fps)
        self.given = 0

    def read(self) -> Picture | None:
        for number, image in self._left:
            if self._rate.keep(number / CLIP_FPS):
                self.given += 1
                return Picture(image, number / CLIP_FPS)
        return None

    def close(self) -> None:
        """Nothing is held open."""


def visitors(message: dict[str, Any]) -> int:
    """The visitors of a window; 0 for messages that are no window."""
    return int(message["released"] or 0) if message["schema"] == COUNTS else 0


def main(clip: str, max_fps: float, tile: int, engine: str) -> None:
    images = held(Path(clip))
    bundle, backend = open_model()
    camera = {"name": "clip", "source": "clip.mp4", "max_fps": max_fps, "tile": tile}
    overrides = ("privacy.minimum=1", f"detection.engine={engine}")
    settings = load_settings(None, overrides, {"cameras": [camera]})
    detectors, metrics = SharedDetectors(1), Metrics(SystemClock(), ["clip"])

    def vision() -> Vision:
        return build_vision(settings.cameras[0], settings, bundle, metrics, detectors=detectors)

    def play(source: Kept, ready: Vision) -> int:
        """Replay a recording; its visitors."""
        messages = replay(
            settings,
            bundle,
            backend,
            beside=Path(),
            clock=SystemClock(),
            metrics=metrics,
            open_source=lambda *_, **__: source,
            make_vision=lambda *_: ready,
        )
        return sum(visitors(json.loads(message)) for message in messages)

    def faces() -> int:
        value = metrics.private.get_sample_value("instore_faces_detected_total", {"camera": "clip"})
        return int(value or 0)

    library = " on ONNX Runtime" if engine == "onnxruntime" else ""
    name = f"InStore{library}, {max_fps:g} frames a second" + ("" if tile else ", whole picture")
    with one_opencv_thread():
        ready, recording = vision(), Kept(images, max_fps)
        # As of the others, the models have seen a picture before the time is measured.
        play(Kept(images[:1], max_fps), vision())
        before = faces()
        with measured(name, images) as found:
            found["visitors"] = play(recording, ready)
            found["searched"], found["faces"] = recording.given, faces() - before
    backend.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
