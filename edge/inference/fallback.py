"""A network of a daemon: float32 on ONNX Runtime at first, the configured backend when it is ready.

             open and compare a candidate                swap, between two batches
baseline ──────────────────────────► (engine is built) ───────────────────────────► candidate
  ▲            in a thread of low priority                                             │
  └────────────────────────────────────────────────────────────────────────────────────┘
               it fails: the same batch on the baseline; a new attempt after a pause
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.clock import Backoff, Clock
from edge.config import ModelSettings
from edge.errors import ConfigurationError
from edge.inference import open_on_cpu, require_known
from edge.inference.backend import Backend, BackendError
from edge.inference.engine_store import EngineStore
from edge.inference.precision import cpu_precision
from edge.ops.reasons import BackendFault, EngineFault
from edge.types import Image

log = logging.getLogger(__name__)

STEADY = 60.0
"""Seconds of use after which a failed backend is tried again soon. Else the pauses grow."""

PASSING: tuple[BackendFault, ...] = (BackendFault.MEMORY, BackendFault.LOST)
"""Faults that may end without a person. The others need a person and a restart."""

LATE: tuple[BackendFault, ...] = (*PASSING, BackendFault.DRIVER, BackendFault.NO_GPU)
"""For a GPU that is configured by name: after a boot its driver may start after the daemon."""

Open = Callable[[Callable[[], bool]], Backend]
"""Opens a candidate and compares it with the baseline. Takes a function that says whether to stop early;
raises BackendError."""


@dataclass(slots=True)
class Candidate:
    """A backend that is preferred to the baseline. passing: the faults after which it is tried again.

    level: of the log messages about its faults. worked: it was in use before, so it is tried again. hopeless:
    it is not tried again.
    """

    open: Open
    passing: tuple[BackendFault, ...] = PASSING
    level: int = logging.INFO
    worked: bool = False
    hopeless: bool = False


class ServingBackend:
    """`Backend` on the best candidate that works, else on `baseline`.

    One thread calls `run`, and one `infer`, or several where all backends allow that. No batch is lost: one
    that fails on a candidate is run again on the baseline.
    """

    def __init__(
        self,
        baseline: Backend,
        candidates: Sequence[Candidate] = (),
        *,
        what: str = "the age model",
        clock: Clock,
        rng: random.Random,
        recover: Callable[[], None] = lambda: None,
        on_change: Callable[[], None] = lambda: None,
        on_fallback: Callable[[BackendFault], None] = lambda reason: None,
    ) -> None:
        """candidates: the preferred one first. what: is run, for the log. recover: called when a device that
        was lost is freed, before the next attempt. on_change: called after every swap. on_fallback: called
        for every attempt and every batch that failed.
        """
        self._baseline = baseline
        self._candidates = candidates
        self._what = what
        self._clock = clock
        self._backoff = Backoff(rng)
        self._recover = recover
        self._on_change = on_change
        self._on_fallback = on_fallback
        self._rank = len(candidates)  # of the one in use; the baseline comes after all
        self._chosen: Backend | None = None
        self._broken: Backend | None = None
        self._guard = threading.Lock()
        self._reason: BackendFault | None = None
        self._logged = ""
        self._since = 0.0
        self._failed = threading.Event()
        self._stopping = threading.Event()
        self.max_batch = baseline.max_batch

    @property
    def name(self) -> str:
        """Of the backend in use."""
        return (self._chosen or self._baseline).name

    @property
    def device(self) -> str:
        """Of the backend in use."""
        return (self._chosen or self._baseline).device

    @property
    def accelerated(self) -> bool:
        """Whether a candidate is in use."""
        return self._chosen is not None

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `Backend.infer`."""
        chosen = self._chosen  # the other thread may replace it at any moment
        if chosen is None:
            return self._baseline.infer(batch)
        try:
            return chosen.infer(batch)
        except BackendError as error:
            self._leave(chosen, error)
        return self._baseline.infer(batch)

    def run(self) -> None:
        """Open candidates until `stop`, or until no better one than the one in use is left to try."""
        while not self._stopping.is_set():
            pause = self.attempt()
            if pause is None and self._chosen is None and self._broken is None:
                return  # one that failed in its very first batch is already in _broken
            if pause is None:
                self._failed.wait()
                pause = self.bury()
            self._clock.wait(self._stopping, pause)

    def attempt(self) -> float | None:
        """Open the best candidate that works. Returns seconds to wait if a better one is tried again."""
        pause: float | None = None
        for rank in range(self._rank):
            candidate = self._candidates[rank]
            if candidate.hopeless:
                continue
            try:
                opened = candidate.open(self._stopping.is_set)
            except (BackendError, ConfigurationError) as error:
                if self._stopping.is_set():
                    return None
                pause = self._pass_over(candidate, error, pause)
                continue
            if self._stopping.is_set():
                opened.close()
                return None
            self._use(opened, rank)
            break
        return pause

    def bury(self) -> float:
        """Free what the failed backend holds; seconds to wait before the next attempt."""
        self._failed.clear()
        if self._clock.monotonic() - self._since >= STEADY:
            self._backoff.reset()
        broken, self._broken = self._broken, None
        if broken is not None:
            broken.close()
            if self._reason == BackendFault.LOST:  # a full device still works, and needs no reset
                self._recover()
        return self._backoff.next()

    def stop(self) -> None:
        """End `run` soon: a build is cancelled at its next step."""
        self._stopping.set()
        self._failed.set()

    def close(self) -> None:
        """See `Backend.close`; `run` must have ended."""
        self.stop()
        for backend in (self._chosen, self._broken, self._baseline):
            if backend is not None:
                backend.close()
        self._chosen = self._broken = None

    def _use(self, opened: Backend, rank: int) -> None:
        # The one that it replaces may be in the middle of a batch: it is not closed, its last user frees it.
        self._since, self._logged = self._clock.monotonic(), ""
        self._candidates[rank].worked = True
        with self._guard:
            self._rank, self._chosen = rank, opened
        self._on_change()

    def _leave(self, chosen: Backend, error: BackendError) -> None:
        with self._guard:
            if self._chosen is not chosen:  # another thread was in the same batch
                return
            self._reason = error.reason
            self._broken, self._chosen, self._rank = chosen, None, len(self._candidates)
        log.warning("%s failed; %s falls back to %s: %s", chosen.name, self._what, self._baseline.name, error)
        self._on_fallback(error.reason)
        self._on_change()
        self._failed.set()

    def _pass_over(
        self, candidate: Candidate, error: BackendError | ConfigurationError, pause: float | None
    ) -> float | None:
        """Count and log a candidate that cannot be used. pause: of a better one that is tried again."""
        reason: BackendFault = error.reason if isinstance(error, BackendError) else BackendFault.ENGINE
        self._on_fallback(reason)
        if candidate.worked or reason in candidate.passing:
            pause = pause or self._backoff.next()
            level = logging.DEBUG if str(error) == self._logged else logging.WARNING
            log.log(level, "%s stays on %s: %s; next attempt in %.0f s", self._what, self.name, error, pause)
            self._logged = str(error)
            return pause
        candidate.hopeless = True
        level = logging.WARNING if reason == BackendFault.WRONG else candidate.level
        log.log(level, "%s stays on %s: %s", self._what, self.name, error)
        return pause


def serve(
    model: ModelSettings,
    bundle: Bundle,
    *,
    engines: Path,
    clock: Clock,
    rng: random.Random,
    on_change: Callable[[], None] = lambda: None,
    on_fallback: Callable[[BackendFault], None] = lambda reason: None,
    on_refused: Callable[[EngineFault], None] = lambda fault: None,
) -> ServingBackend:
    """The age model of a daemon; only the baseline, float32 on ONNX Runtime, is open before it is `run`.

    engines: the folder that keeps them. on_refused: called for every engine file that is damaged or foreign.
    A warning is logged if a configured backend or precision does not work or is too far from float32, but not
    if `auto` finds no GPU. `tensorrt` waits for a driver and a GPU. Raises ConfigurationError as
    `open_backend` does.
    """
    require_known(model.backend)
    candidates = []
    if model.backend in ("auto", "tensorrt"):
        store = EngineStore(engines, [bundle.folder / "engines"], on_refused=on_refused)
        candidates.append(_on_gpu(model, bundle, store))
    candidates += _on_cpu(model, bundle)
    return ServingBackend(
        open_on_cpu(
            "onnxruntime", bundle, max_batch=model.max_batch, threads=model.threads, precision="fp32"
        ),
        candidates,
        clock=clock,
        rng=rng,
        recover=reset_gpu if model.backend in ("auto", "tensorrt") else lambda: None,
        on_change=on_change,
        on_fallback=on_fallback,
    )


def _on_gpu(model: ModelSettings, bundle: Bundle, store: EngineStore) -> Candidate:
    def open_it(cancelled: Callable[[], bool]) -> Backend:
        from edge.inference.tensorrt import open_tensorrt

        return open_tensorrt(
            bundle, precision=model.precision, max_batch=model.max_batch, store=store, cancelled=cancelled
        )

    return gpu_candidate(open_it, by_name=model.backend == "tensorrt")


def gpu_candidate(open_it: Open, *, by_name: bool) -> Candidate:
    """What is opened on a GPU. by_name: the configuration names it, so a missing one is waited for."""
    return Candidate(open_it, LATE, logging.WARNING) if by_name else Candidate(open_it)


def reset_gpu() -> None:
    """Recover from a lost device."""
    from edge.inference.cuda import Cuda

    Cuda().reset()


def _on_cpu(model: ModelSettings, bundle: Bundle) -> list[Candidate]:
    """The candidate on the CPU; none if it would be the same as the baseline."""
    name = "openvino" if model.backend == "openvino" else "onnxruntime"
    precision = cpu_precision(model.precision, bundle)
    if name == "onnxruntime" and precision == "fp32":
        return []

    def open_it(_: Callable[[], bool]) -> Backend:
        return open_on_cpu(
            name, bundle, max_batch=model.max_batch, threads=model.threads, precision=precision
        )

    return [Candidate(open_it, level=logging.WARNING)]
