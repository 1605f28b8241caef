"""The daemon: the stages in threads, on real time.

    capture-<camera> ──► LatestFrame ──► vision-<camera> ──► MessageQueue ──► counting ──► Outbox ──► publish
         (one slot, overwritten)              (crops bounded)                (SQLite)        │
                                                                                           broker
    main: start, watchdog, reload, the end.     http: /metrics and /healthz

`composition` makes and joins the stages, `shutdown` ends them. The first unexpected exception in any thread
ends the process with status 1; systemd starts it again. Faults of cameras, broker and disk are retried where
they arise.
"""

from __future__ import annotations

import logging
import math
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import cv2

from edge import __version__
from edge.clock import Clock
from edge.config import Settings
from edge.daemon.cameras.camera_state import CameraSnapshot
from edge.daemon.composition import PATIENCE, Composition
from edge.daemon.parts import Parts
from edge.daemon.reload import Reloader
from edge.daemon.shutdown import Running, shut_down
from edge.daemon.status import warn_of_a_small_outbox, warn_of_blanks, warn_of_what_leaves
from edge.daemon.threads import TICK, Beat
from edge.inference.backend import AgeBackend
from edge.inference.fallback import ServingBackend
from edge.ops.memory import limit_arenas, settle
from edge.ops.metrics import Metrics
from edge.ops.systemd import Systemd
from edge.web.setup.tools import Configured

log = logging.getLogger(__name__)

SWITCH_INTERVAL = 0.001
"""Seconds: with Python's default of 5 ms a busy thread starves the detectors, which take the GIL often."""

NICENESS = 10
"""Of the thread that builds engines, and of those that it starts."""

POLL = 0.05
"""Seconds between two looks of the main thread at its events."""

SETTLED = 1.0
"""Seconds from the moment at which all models are open to `settle`: the first frames go before it."""


class Runtime:
    """The daemon of one configuration; `run` it once."""

    def __init__(
        self,
        settings: Settings,
        *,
        beside: Path,
        clock: Clock,
        rng: random.Random,
        systemd: Systemd | None = None,
        resumes: bool = True,
        load: Callable[[], Settings] | None = None,
        configured: Configured | None = None,
        parts: Parts = Parts(),  # noqa: B008 - it is frozen
    ) -> None:
        """beside: the folder of relative secrets and bundles. resumes: whether a later run goes on with the
        windows of live cameras that are open at the end; else they are closed then. load: reads the
        configuration again, for `run`'s `reload`. configured: for the page's Set up. parts: what the daemon
        is made of.

        Raises as `Composition` does, on everything that may be wrong with the configuration.
        """
        _prepare_process()
        self._made = Composition(
            settings,
            beside=beside,
            clock=clock,
            rng=rng,
            resumes=resumes,
            parts=parts,
            configured=configured,
        )
        self._clock = clock
        self._systemd = systemd or Systemd({})
        self._reloader = Reloader(self._made, load or (lambda: settings))
        self.hangs = False
        """After the run: a thread is still in a source or in TensorRT, and must not return into Python."""

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self._reloader.settings

    @property
    def metrics(self) -> Metrics:
        """The series of this daemon."""
        return self._made.metrics

    @property
    def cameras(self) -> list[CameraSnapshot]:
        """Every camera as it is now, for display."""
        return self._made.lanes.cameras

    @property
    def backend(self) -> AgeBackend:
        """What runs the age model now."""
        return self._made.backend

    @property
    def faces_on(self) -> dict[str, str]:
        """Backend and device that run the face networks now."""
        return self._made.face_report.facts(self._made.faces)

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the daemon."""
        return self._made.status.is_connected

    @property
    def stored(self) -> int:
        """Windows that this run has closed and stored."""
        return self._made.counting.stored

    @property
    def http_port(self) -> int | None:
        """Where metrics and health are served; None where they are not."""
        return self._made.http.port if self._made.http else None

    def open_since(self, camera: str) -> datetime | None:
        """The start of a camera's oldest open window; None before its first frame."""
        return self._made.counting.open_since(camera)

    def run(self, stop: threading.Event, reload: threading.Event | None = None) -> int:
        """Count until `stop` is set or every camera has ended and its windows are acknowledged.

        Whenever `reload` is set, the configuration is read again and its changes are applied; one that is not
        valid changes nothing. Returns the exit status; raises what the first thread failed with.
        """
        self._describe()
        running = self._start()
        try:
            self._until_ready(stop)
            self._until_over(stop, reload or threading.Event(), running.counting)
        finally:
            self._systemd.stopping()
            self.hangs = not shut_down(self._made, running)
        if self._made.threads.failure is not None:
            raise self._made.threads.failure
        return 0

    def _start(self) -> Running:
        """Start all threads, against the direction of the data."""
        made, threads, stop_publishing = self._made, self._made.threads, threading.Event()
        if made.http:
            made.http.start()
        if made.web:
            made.web.start()
        running = Running(
            threads.make("counting", made.counting.run),
            self._make_senders(stop_publishing),
            self._make_accelerators(),
            stop_publishing,
        )
        for camera in self.cameras:
            made.camera_status(camera.status)
        made.box_status("online")
        for sender in running.senders:
            sender.start()
        running.counting.start()
        for accelerator in running.accelerators:
            accelerator.start()
        for lane in made.lanes:
            lane.start()
        return running

    def _make_senders(self, stop: threading.Event) -> list[threading.Thread]:
        """The threads that deliver messages, each to one receiver."""
        made, within = self._made, self._made.settings.mqtt.drain_timeout
        found = []
        if publisher := made.publisher:
            found.append(made.threads.make("publish", lambda beat: publisher.run(stop, beat)))
        if webhook := made.webhook:
            found.append(
                made.threads.make("webhook", lambda beat: webhook.run(stop, beat, drain_within=within))
            )
        return found

    def _make_accelerators(self) -> list[threading.Thread]:
        """The threads that open faster backends."""
        backends = {"accelerate": self._made.backend, "accelerate-faces": self._made.faces}
        return [
            self._made.threads.make(name, partial(_accelerate, backend), watched=False)
            for name, backend in backends.items()
            if backend is not None
        ]

    def _until_ready(self, stop: threading.Event) -> None:
        """Wait for the models; cameras and broker may come later."""
        while not all(camera.ready for camera in self.cameras):
            if stop.is_set() or self._made.threads.failure:
                return
            self._clock.wait(stop, POLL)
        log.info("ready: %s", self._made.status.line)
        self._systemd.ready(self._made.status.line)

    def _until_over(self, stop: threading.Event, reload: threading.Event, counting: threading.Thread) -> None:
        """Feed the watchdog and reload on request, until there is a reason to end."""
        next_check = self._clock.monotonic()
        settled_at = next_check + SETTLED
        while not (stop.is_set() or self._made.threads.failure):
            if self._is_over(counting):
                return
            wanted = self._made.reload_wanted
            if (reload.is_set() or wanted.is_set()) and self._made.lanes.watching:
                reload.clear()
                wanted.clear()
                self._reload()
            if self._clock.monotonic() >= next_check:
                self._check_progress()
                next_check += min(self._systemd.watchdog_every or TICK, TICK)
            if self._clock.monotonic() >= settled_at:
                settle()
                settled_at = math.inf
            self._clock.wait(stop, POLL)

    def _is_over(self, counting: threading.Thread) -> bool:
        """Whether every camera has ended, and its windows are counted and acknowledged."""
        if self._made.lanes.watching:
            return False
        self._made.queue.close()
        return not counting.is_alive() and not self._made.outbox.depth

    def _check_progress(self) -> None:
        self._made.outbox_report.measure()
        if stuck := self._made.heartbeats.stuck():
            log.error("no progress for %g s: %s", PATIENCE, ", ".join(stuck))
        else:
            self._systemd.alive(self._made.status.line)

    def _reload(self) -> None:
        self._systemd.reloading(self._clock.monotonic())
        self._reloader.reload()
        self._systemd.ready(self._made.status.line)

    def _describe(self) -> None:
        """Export and log what runs here."""
        made, settings = self._made, self.settings
        facts = made.model_report.facts(made.backend)
        made.metrics.describe(
            build={"version": __version__},
            model=facts,
            config={"site": settings.site.name, "box": settings.box},
        )
        log.info("model %(name)s %(version)s on %(backend)s (%(device)s)", facts)
        made.face_report.changed(made.faces)
        terms = made.bundle.terms.commercial_use
        log.info("model licence: %s; commercial use: %s", made.bundle.licence, terms)
        warn_of_blanks(settings, made.beside)
        warn_of_a_small_outbox(settings)
        warn_of_what_leaves(settings)


def _accelerate(backend: ServingBackend, _: Beat) -> None:
    """Open the configured backend at low priority: a build or a comparison must not delay counting."""
    with suppress(PermissionError):  # the service's sandbox allows no change, not even to a lower priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    backend.run()


def _prepare_process() -> None:
    """Set what holds for the whole process; before there are threads."""
    limit_arenas()
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Cameras are the parallelism: OpenCV's own threads would only compete for the cores.
    cv2.setNumThreads(1)
