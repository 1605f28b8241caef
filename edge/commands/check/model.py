"""Does the age model load, on which backend, and how fast is it?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.clock import Clock
from edge.config import Settings, state_directory
from edge.inference import open_backend
from edge.inference.engine_store import EngineStore


def check_model(settings: Settings, folder: Path, clock: Clock) -> str:
    """Open the backend and time it. Raises ConfigurationError and BackendError."""
    bundle = load_bundle(bundle_folder(settings.model.bundle, folder))
    model, engines = settings.model, state_directory(settings, folder) / "engines"
    passed_over: list[str] = []
    with tempfile.TemporaryDirectory() as nowhere:
        # The daemon's engines are tried. One that is built here is not kept: it would belong to another user.
        backend = open_backend(
            model.backend,
            bundle,
            max_batch=model.max_batch,
            threads=model.threads,
            precision=model.precision,
            store=EngineStore(Path(nowhere), [engines, bundle.folder / "engines"]),
            on_passed_over=passed_over.append,
        )
    with closing(backend):
        milliseconds = 1000 * _seconds_per_face(backend.infer, bundle, backend.max_batch, clock)
    where = f"{backend.name} ({backend.device})"
    found = f"{bundle.name} {bundle.version} on {where}, {milliseconds:.1f} ms per face"
    return "; not on ".join([found, *passed_over])


def _seconds_per_face(infer: Callable[..., Any], bundle: Bundle, batch: int, clock: Clock) -> float:
    crops = np.zeros((batch, bundle.input_size, bundle.input_size, 3), np.uint8)
    infer(crops)
    begun = clock.monotonic()
    infer(crops)
    return (clock.monotonic() - begun) / batch
