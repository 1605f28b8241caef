"""Shared by the Python peers: frames in memory, the age model, and the result as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from bench.resident import resident_mb
from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.inference.onnxruntime import OnnxRuntimeBackend
from edge.types import Image


def held(clip: Path) -> list[Image]:
    """All frames of a clip."""
    capture, images = cv2.VideoCapture(str(clip)), []
    while (read := capture.read())[0]:
        images.append(read[1])
    return images


def open_model() -> tuple[Bundle, OnnxRuntimeBackend]:
    """The shipped age model on one thread, warmed up."""
    import numpy as np

    bundle = load_bundle(bundle_folder("builtin", Path()))
    backend = OnnxRuntimeBackend(bundle, max_batch=8, threads=1)
    backend.infer(np.zeros((1, bundle.input_size, bundle.input_size, 3), np.uint8))
    return bundle, backend


@contextmanager
def measured(peer: str, images: Sequence[Image], frames: int | None = None) -> Iterator[dict[str, Any]]:
    """Print the cost of the block as JSON: seconds of wall and processor time, memory without the frames.

    `searched`: frames that were searched for faces; all, unless the block sets another number.
    """
    found: dict[str, Any] = {"peer": peer, "faces": 0, "visitors": None}
    wall, cpu = time.monotonic(), time.process_time()
    yield found
    found["seconds"], found["cpu_seconds"] = time.monotonic() - wall, time.process_time() - cpu
    found["frames"] = frames or len(images)
    found.setdefault("searched", found["frames"])
    found["rss_mb"] = resident_mb() - sum(image.nbytes for image in images) / 1e6
    print(json.dumps(found))
