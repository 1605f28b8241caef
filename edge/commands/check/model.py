"""Does the age model load, on which backend, how fast is it, and may a business use it?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import Bundle, Terms, bundle_folder, load_bundle
from edge.clock import Clock
from edge.commands.check.verdict import Live, Warn
from edge.config import ModelSettings, Settings, state_directory
from edge.inference import open_configured
from edge.inference.backend import AgeBackend, BackendError
from edge.inference.engine_store import EngineStore
from edge.inference.precision import cpu_precision, gain_of_int8
from edge.vision.detect.engines import engine_of, wants_gpu
from edge.vision.second_opinion import network_check

GUIDE = "`instore-training` makes one, see docs/training.md"


def check_model(settings: Settings, folder: Path, clock: Clock, live: Live | None = None) -> str:
    """Open the backend and time it: which one, in which precision, and what int8 gains on this CPU. And which
    library runs the face networks.

    live: the daemon that runs the test, whose backends are named only: others would take the time and the
    memory of the GPU from them, and so would an engine that is built.

    Raises Warn where another than the configured one has to be used, ConfigurationError and BackendError.
    """
    bundle = load_bundle(bundle_folder(settings.model.bundle, folder))
    network_check()  # so that a damaged one is reported even if no camera can be reached
    model = settings.model
    if live:
        found = f"{bundle.name} {bundle.version} on {live.backend.name} ({live.backend.device})"
        return _required(found, live.backend, settings, live.faces_on)
    engines = state_directory(settings, folder) / "engines"
    passed_over: list[str] = []
    with tempfile.TemporaryDirectory() as nowhere:
        # The daemon's engines are tried. One that is built here is not kept: it would belong to another user.
        store = EngineStore(Path(nowhere), [engines, bundle.folder / "engines"])
        backend = open_configured(model, bundle, store=store, on_passed_over=passed_over.append)
        faces_on = _faces_on(settings.detection.engine, store)
    with closing(backend):
        milliseconds = 1000 * _seconds_per_face(backend.infer, bundle, backend.max_batch, clock)
    where = f"{backend.name} ({backend.device})"
    found = f"{bundle.name} {bundle.version} on {where}, {milliseconds:.1f} ms per face"
    if cpu_precision(model.precision, bundle) == "int8" and backend.name != "tensorrt":
        found += f"; {gain_of_int8()}"
    return _required("; not on ".join([found, *passed_over]), backend, settings, faces_on)


def _required(found: str, backend: AgeBackend, settings: Settings, faces_on: str) -> str:
    """What was found, and what finds the faces. Raises it as Warn where it is not what is configured."""
    found += f"; faces are found on {faces_on}"
    missed = settings.detection.engine == "tensorrt" and not faces_on.startswith("tensorrt")
    if missed or not _is_configured(backend, settings.model):
        raise Warn(found)
    return found


def _faces_on(setting: str, store: EngineStore) -> str:
    """What finds the faces, and why no GPU does where one is looked for."""
    if not wants_gpu(setting):
        return engine_of(setting)
    from edge.vision.detect.served import open_faces

    try:
        with closing(open_faces(store)) as faces:
            return f"{faces.name} ({faces.device})"
    except BackendError as error:
        return f"{engine_of(setting)}, not on tensorrt: {error}"


def check_terms(settings: Settings, folder: Path) -> str:
    """Raises Warn unless the bundle's terms allow commercial use, ConfigurationError without a bundle."""
    bundle = load_bundle(bundle_folder(settings.model.bundle, folder))
    name = f"{bundle.name} {bundle.version}"
    if bundle.terms.commercial_use == "allowed":
        return f"the terms of {name} allow commercial use{_credits(bundle.terms)}"
    raise Warn(f"{_restriction(name, bundle.terms)}; a shop needs a model whose terms allow it: {GUIDE}")


def _restriction(name: str, terms: Terms) -> str:
    """What the terms do not allow, and the parts that do not allow it."""
    use = terms.commercial_use
    parts = "; ".join(f"{part.part}: {part.licence}" for part in terms.parts if part.commercial_use == use)
    because = f" ({parts})" if parts else ""
    if use == "forbidden":
        return f"the terms of {name} forbid commercial use{because}"
    return f"the terms of {name} do not say that commercial use is allowed{because}"


def _credits(terms: Terms) -> str:
    """The lines that must stand beside the model."""
    lines = [part.credit for part in terms.parts if part.credit]
    return f"; they require this credit: {' '.join(lines)}" if lines else ""


def _is_configured(backend: AgeBackend, model: ModelSettings) -> bool:
    """Whether the configured backend and precision are used, not the baseline in their place."""
    if model.backend not in ("auto", backend.name):
        return False
    return model.precision != "int8" or backend.device.endswith("int8")


def _seconds_per_face(infer: Callable[..., Any], bundle: Bundle, batch: int, clock: Clock) -> float:
    crops = np.zeros((batch, bundle.input_size, bundle.input_size, 3), np.uint8)
    infer(crops)
    begun = clock.monotonic()
    infer(crops)
    return (clock.monotonic() - begun) / batch
