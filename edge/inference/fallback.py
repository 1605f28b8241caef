"""The age model of a daemon: at work from the first moment, on what is faster as soon as that is ready.

        open the better one                        swap, between two batches
model ───────────────────────► (engine is built) ───────────────────────────► better
  ▲       in a thread of its own, niced                                          │
  └──────────────────────────────────────────────────────────────────────────────┘
                it fails: the same batch on `model`; then again, after a pause
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.backoff import Backoff
from edge.bundle import Bundle
from edge.clock import Clock
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference.backend import AgeBackend, BackendError, Reason
from edge.inference.engine_store import EngineStore, Fault
from edge.types import Image

log = logging.getLogger(__name__)

STEADY = 60.0
"""Seconds after which a GPU that fails had worked: the next attempt follows soon. Else ever later."""

PASSING: tuple[Reason, ...] = ("memory", "lost")
"""What may be otherwise in a while. The rest needs somebody, and a start."""

LATE: tuple[Reason, ...] = (*PASSING, "driver", "no_gpu")
"""And where a GPU is asked for by name: after a boot or an update its driver may come later than we do."""

BETTER = ("auto", "openvino", "tensorrt")
"""What is served on ONNX Runtime until it is ready."""

Open = Callable[[Callable[[], bool]], AgeBackend]
"""Opens the better backend. Takes whether that is no longer wanted; raises BackendError."""


class ServingBackend:
    """`AgeBackend` on `model`, or on what `open_better` gives. `run` belongs in a thread, `infer` in another.

    No batch is ever lost: one that fails on the better backend is run again on the model.
    """

    def __init__(
        self,
        model: AgeBackend,
        open_better: Open | None,
        *,
        clock: Clock,
        rng: random.Random,
        recover: Callable[[], None] = lambda: None,
        on_change: Callable[[], None] = lambda: None,
        on_fallback: Callable[[Reason], None] = lambda reason: None,
        passing: tuple[Reason, ...] = PASSING,
        level: int = logging.INFO,
    ) -> None:
        """open_better: None where there is no other. recover: called when a device that was lost is given
        back, before the next attempt. on_change: hears of every swap, on_fallback of every attempt and every
        batch that failed. passing: reasons that are worth another attempt. level: at which it is logged that
        the better backend cannot be.
        """
        self._model = model
        self._open_better = open_better
        self._clock = clock
        self._backoff = Backoff(rng)
        self._recover = recover
        self._on_change = on_change
        self._on_fallback = on_fallback
        self._passing = passing
        self._level = level
        self._better: AgeBackend | None = None
        self._broken: AgeBackend | None = None
        self._reason: Reason | None = None
        self._told = ""
        self._since = 0.0
        self._worked = False
        self._failed = threading.Event()
        self._stopping = threading.Event()
        self.max_batch = model.max_batch

    @property
    def name(self) -> str:
        """Of the one that is at work."""
        return (self._better or self._model).name

    @property
    def device(self) -> str:
        """Of the one that is at work."""
        return (self._better or self._model).device

    @property
    def accelerated(self) -> bool:
        """Whether the better one is at work."""
        return self._better is not None

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `AgeBackend.infer`."""
        better = self._better  # the other thread may put one in its place at any moment
        if better is None:
            return self._model.infer(batch)
        try:
            return better.infer(batch)
        except BackendError as error:
            log.warning("%s fails, the age model goes on on %s: %s", better.name, self._model.name, error)
            self._reason = error.reason
            self._broken, self._better = better, None
            self._on_fallback(error.reason)
            self._on_change()
            self._failed.set()
        return self._model.infer(batch)

    def run(self) -> None:
        """Open the better backend, and again when it has failed, until `stop` or for as long as it can be."""
        while not self._stopping.is_set():
            pause = self.attempt()
            if pause is None and self._better is None and self._broken is None:
                return  # a better one that failed in its very first batch is already among the broken
            if pause is None:
                self._failed.wait()
                pause = self.bury()
            self._clock.wait(self._stopping, pause)

    def attempt(self) -> float | None:
        """Open the better backend and put it to work; seconds to wait where that is worth another attempt."""
        if self._open_better is None:
            return None
        try:
            better = self._open_better(self._stopping.is_set)
        except (BackendError, ConfigurationError) as error:
            return None if self._stopping.is_set() else self._passed_over(error)
        if self._stopping.is_set():
            better.close()
            return None
        self._since, self._worked, self._told = self._clock.monotonic(), True, ""
        self._better = better
        self._on_change()
        return None

    def bury(self) -> float:
        """Give back what the failed backend holds; seconds to wait before the next attempt."""
        self._failed.clear()
        if self._clock.monotonic() - self._since >= STEADY:
            self._backoff.reset()
        broken, self._broken = self._broken, None
        if broken is not None:
            broken.close()
            if self._reason == "lost":  # a full device works on, and needs no reset
                self._recover()
        return self._backoff.next()

    def stop(self) -> None:
        """End `run` soon: a build is called off at its next step."""
        self._stopping.set()
        self._failed.set()

    def close(self) -> None:
        """See `AgeBackend.close`; `run` must have ended."""
        self.stop()
        for backend in (self._better, self._broken, self._model):
            if backend is not None:
                backend.close()
        self._better = self._broken = None

    def _passed_over(self, error: BackendError | ConfigurationError) -> float | None:
        reason: Reason = error.reason if isinstance(error, BackendError) else "engine"
        self._on_fallback(reason)
        if self._worked or reason in self._passing:
            pause = self._backoff.next()
            level = logging.DEBUG if str(error) == self._told else logging.WARNING
            log.log(level, "the age model stays on %s: %s; next attempt in %.0f s", self.name, error, pause)
            self._told = str(error)
            return pause
        log.log(self._level, "the age model stays on %s: %s", self.name, error)
        return None


def serve(
    name: str,
    bundle: Bundle,
    *,
    max_batch: int,
    threads: int,
    precision: str,
    engines: Path,
    clock: Clock,
    rng: random.Random,
    on_change: Callable[[], None] = lambda: None,
    on_fallback: Callable[[Reason], None] = lambda reason: None,
    on_refused: Callable[[Fault], None] = lambda fault: None,
) -> ServingBackend:
    """The backend of a daemon, by the name in its configuration; nothing is built until it is `run`.

    engines: the folder that keeps them. on_refused: hears of every engine's file that is damaged or foreign.
    `tensorrt` and `openvino` are served on ONNX Runtime as long as they cannot work, as `auto` is, but with a
    warning; for `tensorrt` a driver and a GPU are waited for. Raises ConfigurationError as `open_backend`
    does, and on a precision that the bundle lacks.
    """
    named = partial(open_backend, bundle=bundle, max_batch=max_batch, threads=threads, precision=precision)
    model = named("onnxruntime" if name in BETTER else name)
    if name not in BETTER:
        return ServingBackend(model, None, clock=clock, rng=rng)
    from edge.inference.cuda import Cuda

    store = EngineStore(engines, [bundle.folder / "engines"], on_refused=on_refused)

    def open_on_gpu(cancelled: Callable[[], bool]) -> AgeBackend:
        from edge.inference.tensorrt import open_tensorrt

        return open_tensorrt(
            bundle, precision=precision, max_batch=max_batch, store=store, cancelled=cancelled
        )

    on_gpu = name != "openvino"
    return ServingBackend(
        model,
        open_on_gpu if on_gpu else lambda _: named(name),
        clock=clock,
        rng=rng,
        recover=(lambda: Cuda().reset()) if on_gpu else lambda: None,
        on_change=on_change,
        on_fallback=on_fallback,
        passing=LATE if name == "tensorrt" else PASSING,
        level=logging.INFO if name == "auto" else logging.WARNING,
    )
