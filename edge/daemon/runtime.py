"""The daemon: the stages in threads, on real time.

    capture-<camera> ──► LatestFrame ──► vision-<camera> ──► MessageQueue ──► counting ──► Outbox ──► publish
         (one slot, overwritten)              (crops bounded)                (SQLite)        │
                                                                                           broker
    main: start, watchdog, reload, the end.     http: /metrics and /healthz

The first exception that nobody expected, in any thread, ends the process with status 1; systemd starts it
again. Faults of cameras, broker and disk are retried where they arise.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import cv2

from edge import __version__
from edge.bundle import bundle_folder, load_bundle
from edge.capture import Camera, is_live, open_source, validate_source
from edge.clock import Clock
from edge.config import DAY, CameraSettings, Settings, state_directory
from edge.counting.pipeline import build_counting, counting_plan
from edge.daemon.counting_thread import CountingWorker
from edge.daemon.lanes import Lanes
from edge.daemon.lock import StateLock
from edge.daemon.queue import MessageQueue
from edge.daemon.reload import Change, compare
from edge.daemon.threads import TICK, Beat, Threads
from edge.daemon.turns import Turns
from edge.daemon.vision_thread import VisionWorker
from edge.delivery import GOODBYE, Publisher, access
from edge.delivery.outbox import Outbox
from edge.errors import ConfigurationError
from edge.inference.fallback import ServingBackend, serve
from edge.ops.health_page import health_page
from edge.ops.heartbeats import Heartbeats
from edge.ops.http import HttpServer, Page
from edge.ops.memory import limit_arenas, trim
from edge.ops.metrics import Metrics
from edge.ops.reasons import CropDrop, ReloadResult
from edge.ops.systemd import Systemd
from edge.release.gate import Gate
from edge.release.messages import StatusEncoder
from edge.types import CameraState, CameraStatus, WindowCounts
from edge.vision.detect import SharedDetectors
from edge.vision.pipeline import build_vision

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds without progress, beside the broker's time-out, after which a thread is stuck."""

SWITCH_INTERVAL = 0.001
"""Seconds: with Python's default of 5 ms a busy thread starves the detectors, which take the GIL often."""

TELL_DROPPED = 60.0
"""Seconds between two lines on windows that were given up: a full outbox gives up one for each that comes."""

ENOUGH = 30.0
"""Days of windows that an outbox should hold: as long as a store may be closed, or its line be dead."""

LARGEST = 1500
"""Bytes of a window: 750 with the default brackets and names, twice that with twenty brackets."""

SEEING_ENDS = 2.0
"""Seconds that the cameras' threads get at the end, to finish a frame and tell who was in view."""

JUDGING_ENDS = 1.0
"""Seconds that the counting thread then gets for the crops that wait."""

COUNTING_ENDS = 1.5
"""Seconds that it gets for the rest. With `mqtt.drain_timeout` and the goodbye that makes less than
ten: what does not end by then is left to the next start."""

BEHIND = 10
"""The niceness of the thread that builds engines, and of those that it begins."""

LOOK = 0.05
"""Seconds between two looks of the main thread at what it is told to do."""


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
    ) -> None:
        """beside: the folder that relative secrets and bundles are looked up in. resumes: whether another run
        will go on with the windows of live cameras that are open at the end; else they are closed then. load:
        reads the configuration again, for `run`'s `reload`.

        Opens no camera and no connection, but finds out all that may be wrong with the configuration: raises
        ConfigurationError on a source, secret, bundle, outbox or port that cannot be used.
        """
        for camera in settings.cameras:
            validate_source(camera, beside)
        access(settings.mqtt, beside)
        self.settings = settings
        self._beside = beside
        self._rng = rng
        self._load = load or (lambda: settings)
        self._clock = clock
        self._resumes = resumes
        self._systemd = systemd or Systemd({})
        self._bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
        self._metrics = Metrics(clock, [camera.name for camera in settings.cameras])
        self._backend = self._open_model()
        self._heartbeats = Heartbeats(clock, PATIENCE + settings.mqtt.connect_timeout)
        self.hangs = False
        """After the run: a thread is still in a source or in TensorRT, and must not come back from there."""
        self.connected = False
        self._refused = ""
        self.stored = 0
        self._outbox_dropped = self._dropped_told = 0
        self._tell_dropped_at = 0.0
        self._stop_publish = threading.Event()
        state = state_directory(settings, beside)
        self._lock = StateLock(state)
        self._http = self._serve() if settings.metrics.enabled else None
        self._outbox = Outbox(
            state / "outbox.db",
            settings.outbox.max_rows,
            settings.outbox.max_bytes,
            clock=clock,
            on_set_aside=lambda reason: self._metrics.outbox_set_aside.labels(reason).inc(),
        )
        self._publisher = self._make_publisher()
        self._queue = MessageQueue(settings.model.queue)
        # Whoever waits for room in the queue must not wait for ever.
        self._threads = Threads(self._heartbeats, clock, on_failure=self._queue.hurry)
        self._gate = Gate(
            self._outbox,
            minimum=settings.privacy.minimum,
            model_name=self._bundle.name,
            model_version=self._bundle.version,
        )
        counting = build_counting(settings, self._bundle, self._backend, self._metrics)
        self.counting = CountingWorker(
            counting,
            self._queue,
            store=self._store,
            keep_open=self._keep_open,
            metrics=self._metrics,
            clock=clock,
            real_time=self._is_real_time,
        )
        self.counting.resume(self._gate.left_open())
        cores = len(os.sched_getaffinity(0))
        self._detectors = SharedDetectors(cores)
        # More frames at once than cores would only make each of them later.
        self._turns = Turns(cores)
        self._lanes = Lanes(self._threads, clock, self._worker, self._camera)
        self._lanes.make(settings.cameras)

    @property
    def lanes(self) -> list[VisionWorker]:
        """The watching half of every camera; what it has seen may be shown."""
        return self._lanes.workers

    @property
    def http_port(self) -> int | None:
        """Where metrics and health are served; None where they are not."""
        return self._http.port if self._http else None

    def run(self, stop: threading.Event, reload: threading.Event | None = None) -> int:
        """Count until `stop` is set or every camera has ended and its windows are acknowledged.

        Whenever `reload` is set, the configuration is read again and what changed is taken over; one that is
        not valid changes nothing. Returns the exit status; raises what the first thread failed with.
        """
        limit_arenas()
        sys.setswitchinterval(SWITCH_INTERVAL)
        # Cameras are the parallelism: OpenCV's own threads would only fight over the cores.
        cv2.setNumThreads(1)
        self._describe()
        if self._http:
            self._http.start()
        publish = self._threads.make("publish", partial(self._publisher.run, self._stop_publish))
        counting = self._threads.make("counting", self.counting.run)
        for worker in self.lanes:
            self._publisher.camera_status(worker.status)
        accelerate = self._threads.make("accelerate", self._accelerate, watched=False)
        publish.start()
        counting.start()
        accelerate.start()
        for lane in self._lanes:
            lane.start()
        try:
            self._until_ready(stop)
            self._until_over(stop, reload or threading.Event(), counting)
        finally:
            self._wind_down(counting, publish, accelerate)
            self.hangs = not self._lanes.leave() or accelerate.is_alive()
        if self._threads.failure is not None:
            raise self._threads.failure
        return 0

    def _until_ready(self, stop: threading.Event) -> None:
        """Wait for the models: cameras and broker may take as long as they like."""
        while not all(lane.ready for lane in self.lanes):
            if stop.is_set() or self._threads.failure:
                return
            self._clock.wait(stop, LOOK)
        trim()
        log.info("ready: %s", self._status_line())
        self._systemd.ready(self._status_line())

    def _until_over(self, stop: threading.Event, reload: threading.Event, counting: threading.Thread) -> None:
        """Feed the watchdog and reload when told to, until there is a reason to end."""
        next_check = self._clock.monotonic()
        while not (stop.is_set() or self._threads.failure):
            if not self._lanes.watching:
                self._queue.close()
                if not counting.is_alive() and not self._outbox.depth:
                    return
            elif reload.is_set():
                reload.clear()
                self._reload()
            if self._clock.monotonic() >= next_check:
                self._check_progress()
                next_check += min(self._systemd.watchdog_every or TICK, TICK)
            self._clock.wait(stop, LOOK)

    def _check_progress(self) -> None:
        self._measure_outbox()
        if stuck := self._heartbeats.stuck():
            log.error("no progress for %g s: %s", PATIENCE, ", ".join(stuck))
        else:
            self._systemd.alive(self._status_line())

    def _reload(self) -> None:
        """Read the configuration again, and take over what is possible."""
        self._systemd.reloading(self._clock.monotonic())
        try:
            change = compare(self.settings, self._load())
            for camera in change.settings.cameras:
                validate_source(camera, self._beside)
            self._publisher.renew(access(change.settings.mqtt, self._beside))
        except ConfigurationError as error:
            self._metrics.reloads.labels(ReloadResult.REFUSED).inc()
            log.error("the configuration is not taken over and nothing changes: %s", error)
            self._refused = "; the last reload was refused, see the log"
            self._systemd.ready(self._status_line())
            return
        self._refused = ""
        self._take_over(change)
        self._metrics.reloads.labels(ReloadResult.APPLIED).inc()
        log.info("configuration taken over: %s", change)
        if change.needs_restart:
            log.warning("this needs a restart, until then it stays: %s", ", ".join(change.needs_restart))
        self._systemd.ready(self._status_line())

    def _take_over(self, change: Change) -> None:
        """Change the cameras: what the old ones saw comes before the new plan, what the new see after."""
        self._lanes.retire(change.gone, change.changed)
        self.settings = change.settings
        self._gate.minimum = change.settings.privacy.minimum
        # The series of cameras that are gone go when the counting thread comes to the plan.
        self._metrics.follow([*change.gone, *(camera.name for camera in change.settings.cameras)])
        self._queue.put(counting_plan(change.settings))
        for name in change.gone:
            self._publisher.forget_camera(name)
        begin = [c for c in change.settings.cameras if c.name in (*change.new, *change.changed)]
        for lane in self._lanes.make(begin):
            self._publisher.camera_status(lane.worker.status)
            lane.start()

    def _wind_down(
        self, counting: threading.Thread, publish: threading.Thread, accelerate: threading.Thread
    ) -> None:
        """End the threads in the direction of the data, so that all that was seen is counted and sent."""
        self._systemd.stopping()
        self._backend.stop()
        self._lanes.end(self._clock.monotonic() + SEEING_ENDS)
        self._queue.close()
        counting.join(JUDGING_ENDS)
        if counting.is_alive():  # the visitors count; their ages are what there is no time for
            self._metrics.crops_dropped.labels(CropDrop.STOPPING).inc(self._queue.shed())
        self._threads.join([counting], self._clock.monotonic() + COUNTING_ENDS)
        for lane in self.lanes:
            lane.report(
                CameraStatus(lane.name, CameraState.DOWN, self._clock.now(), "the daemon has stopped")
            )
        self._stop_publish.set()
        sent_by = self._clock.monotonic() + self.settings.mqtt.drain_timeout + GOODBYE
        self._threads.join([publish, accelerate], sent_by)
        if self._http:
            self._http.stop()
        self._tell_dropped_at = 0.0  # what was not told yet is told now
        self._measure_outbox()
        if depth := self._outbox.depth:
            log.warning("%d windows wait in the outbox; they are sent after the next start", depth)
        self._outbox.close()
        if not (
            counting.is_alive() or accelerate.is_alive()
        ):  # who hangs in it has it until the process ends
            self._backend.close()
        self._lock.release()

    def _open_model(self) -> ServingBackend:
        model = self.settings.model
        return serve(
            model.backend,
            self._bundle,
            max_batch=model.max_batch,
            threads=model.threads,
            precision=model.precision,
            engines=state_directory(self.settings, self._beside) / "engines",
            clock=self._clock,
            rng=self._rng,
            on_change=self._on_swap,
            on_fallback=lambda reason: self._metrics.fallbacks.labels(reason).inc(),
            on_refused=lambda fault: self._metrics.engines_refused.labels(fault).inc(),
        )

    def _accelerate(self, _: Beat) -> None:
        """Get the model onto the GPU behind everybody else's back: a build must not hold up the counting."""
        with suppress(PermissionError):  # the service's sandbox allows no change, not even downwards
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
        self._backend.run()

    def _keep_open(self, windows: list[WindowCounts]) -> None:
        """Only live cameras go on where they were: a recording begins anew."""
        live = {camera.name for camera in self.settings.cameras if self._resumes and is_live(camera)}
        self._gate.keep_open(window for window in windows if window.camera_id in live)

    def _store(self, window: WindowCounts) -> None:
        if self._gate.put(window):
            self.stored += 1
            return
        self._metrics.refused.inc()
        log.warning(
            "camera %s: the window from %s was stored before; it is not sent again",
            window.camera_id,
            window.start.isoformat(),
            extra={"camera": window.camera_id},
        )

    def _measure_outbox(self) -> None:
        self._metrics.outbox_rows.set(self._outbox.depth)
        self._metrics.outbox_bytes.set(self._outbox.payload_bytes)
        dropped = self._outbox.dropped
        self._metrics.outbox_dropped.inc(dropped - self._outbox_dropped)
        self._outbox_dropped = dropped
        if dropped > self._dropped_told and self._clock.monotonic() >= self._tell_dropped_at:
            self._tell_dropped_at = self._clock.monotonic() + TELL_DROPPED
            log.warning(
                "the outbox is full: the oldest %d windows were given up", dropped - self._dropped_told
            )
            self._dropped_told = dropped

    def _is_real_time(self, name: str) -> bool:
        """Whether the camera's event time is the clock's."""
        camera = next((c for c in self.settings.cameras if c.name == name), None)
        return camera is not None and (is_live(camera) or (camera.pace == "real" and not camera.start))

    def _worker(self, camera: CameraSettings) -> VisionWorker:
        make_vision = partial(
            build_vision, camera, self.settings, self._bundle, self._metrics, detectors=self._detectors
        )
        return VisionWorker(
            camera,
            make_vision,
            self._queue,
            metrics=self._metrics,
            clock=self._clock,
            turn=self._turns,
            lost_after=self.settings.tracking.lost_after,
            on_status=self._on_status,
            resumes=self._resumes,
        )

    def _camera(self, worker: VisionWorker) -> Camera:
        return Camera(
            worker.camera,
            partial(open_source, secrets_beside=self._beside, clock=self._clock),
            worker.slot,
            self._clock,
            rng=self._rng,
            on_status=worker.report,
            on_drop=worker.drop,
        )

    def _make_publisher(self) -> Publisher:
        settings = self.settings
        return Publisher(
            settings.mqtt,
            settings.site,
            settings.box,
            store=self._outbox,
            statuses=StatusEncoder(settings.site, settings.box, __version__),
            clock=self._clock,
            rng=self._rng,
            secrets_beside=self._beside,
            on_connected=self._on_connected,
            on_published=self._metrics.window_published,
            on_failure=lambda failure: self._metrics.failures.labels(failure.value).inc(),
        )

    def _on_connected(self, connected: bool) -> None:
        self.connected = connected
        self._metrics.connected.set(connected)

    def _on_status(self, status: CameraStatus) -> None:
        self._metrics.camera_status(status)
        self._publisher.camera_status(status)
        level = logging.INFO if status.state is CameraState.UP else logging.WARNING
        log.log(
            level,
            "camera %s: %s%s",
            status.camera_id,
            status.state,
            f": {status.reason}" if status.reason else "",
            extra={"camera": status.camera_id, "state": status.state},
        )

    def _describe(self) -> None:
        self._metrics.describe(
            build={"version": __version__},
            model=self._model_facts(),
            config={"site": self.settings.site, "box": self.settings.box},
        )
        log.info("model %(name)s %(version)s on %(backend)s (%(device)s)", self._model_facts())
        log.info("model licence: %s", self._bundle.licence)
        if (days := days_held(self.settings)) < ENOUGH:
            log.warning(
                "the outbox holds %.1f days of these cameras' windows, %g are advised: raise outbox.max_rows "
                "and outbox.max_bytes",
                days,
                ENOUGH,
            )

    def _on_swap(self) -> None:
        """The age model went onto the GPU, or off it."""
        self._metrics.describe_model(self._model_facts())
        self._metrics.accelerated.set(self._backend.accelerated)
        log.info("model %(name)s %(version)s on %(backend)s (%(device)s)", self._model_facts())

    def _model_facts(self) -> dict[str, str]:
        bundle, backend = self._bundle, self._backend
        return {
            "name": bundle.name,
            "version": bundle.version,
            "backend": backend.name,
            "device": backend.device,
        }

    def _status_line(self) -> str:
        up = sum(lane.status.state is CameraState.UP for lane in self.lanes)
        broker = "broker connected" if self.connected else "broker away"
        waiting = f"{self._outbox.depth} windows waiting"
        return f"{up} of {len(self.lanes)} cameras up, {broker}, {waiting}{self._refused}"

    def _serve(self) -> HttpServer:
        pages: dict[str, Page] = {
            "/metrics": lambda: (HTTPStatus.OK, self._metrics.content_type, self._metrics.exposition()),
            "/healthz": health_page(self._heartbeats.stuck, self._facts),
        }
        return HttpServer(self.settings.metrics.host, self.settings.metrics.port, pages)

    def _facts(self) -> dict[str, Any]:
        return {
            "cameras": {lane.name: lane.status.state.value for lane in self.lanes},
            "mqtt_connected": self.connected,
            "outbox_rows": self._outbox.depth,
        }


def days_held(settings: Settings) -> float:
    """Days of windows that the outbox has room for, by its bounds and a generous size of each."""
    a_day = len(settings.cameras) * DAY / settings.windows.length
    return min(settings.outbox.max_rows, settings.outbox.max_bytes / LARGEST) / a_day
