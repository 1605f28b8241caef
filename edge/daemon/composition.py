"""The stages of one daemon, made and joined: from settings and parts to objects that have not started yet."""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__
from edge.audit.book import FILE as AUDITS
from edge.audit.book import AuditBook
from edge.bundle import Bundle, bundle_folder, load_bundle, load_confusion
from edge.capture import Camera, Source, validate_source
from edge.clock import Clock
from edge.config import CameraSettings, Settings, state_directory
from edge.counting.pipeline import build_counting
from edge.daemon.cameras.camera_state import WatchedCamera
from edge.daemon.cameras.lanes import Lanes
from edge.daemon.cameras.turns import Turns
from edge.daemon.cameras.viewers import Viewers
from edge.daemon.cameras.vision_thread import VisionWorker
from edge.daemon.counting_thread import CountingWorker
from edge.daemon.lock import StateLock
from edge.daemon.parts import Parts
from edge.daemon.status import FaceReport, ModelReport, OutboxReport, Status, report_camera
from edge.daemon.threads import Threads
from edge.delivery import Publisher, Topics, read_access
from edge.delivery.history import FILE, History, Recorder
from edge.delivery.home_assistant import announcements
from edge.delivery.outbox import Outbox, Receiver
from edge.delivery.webhook import WebhookSender, read_hook
from edge.errors import OutsideError
from edge.inference.engine_store import EngineStore
from edge.inference.fallback import ServingBackend
from edge.ops.health_page import health_page
from edge.ops.heartbeats import Heartbeats
from edge.ops.http import HttpServer, PatientServer
from edge.release.correction import Correction
from edge.release.gate import Gate
from edge.release.messages import Audited, BoxState, LoadedModel, Model, StatusEncoder
from edge.release.noise.sampler import discrete_laplace
from edge.release.rule import Rule
from edge.types import CameraStatus
from edge.vision.detect import SharedDetectors, wants_gpu
from edge.vision.setup.masked import LiveFaces
from edge.vision.setup.still import FaceLikes
from edge.web.audit.tools import AuditTools, setup_of
from edge.web.setup.tools import Configured, Tools

if TYPE_CHECKING:
    from edge.web.server import WebSecrets, WebServer

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds without progress, beside the broker's time-out, after which a thread is stuck."""

OPENING_ENDS = 5.0
"""Seconds that the thread which opens the face networks gets where the start has failed."""


class Composition:
    """All stages of a daemon, joined; `close` gives back what they hold.

    Opens no camera and no connection, but finds every fault of the configuration: raises ConfigurationError
    on a source, secret, bundle or outbox that cannot be used, OutsideError where the state directory is
    in use or its disk fails.

    backend_in_use, faces_in_use: set at the end where a thread hangs in what runs the age model or the face
    networks, which `close` then leaves open. opening_hangs: so for the thread that opens the face networks at
    the start.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        beside: Path,
        clock: Clock,
        rng: random.Random,
        resumes: bool,
        parts: Parts,
        configured: Configured | None = None,
    ) -> None:
        """beside: the folder of relative secrets and bundles. resumes: see `CountingWorker`. configured: how
        the configuration was read; without it the page has no Set up.
        """
        check_sources(settings, beside)
        check_receivers(settings, beside)
        self.settings = self.in_force = settings
        self.beside = beside
        self.clock = clock
        self._rng = rng
        self._resumes = resumes
        self._parts = parts
        self._configured = configured
        self._viewers = Viewers()
        self._asked: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._is_offline = False
        self._previews = 0
        self._begun_at = clock.now()
        self.reload_wanted = threading.Event()
        """Set where the page has written a file."""
        self._topics = Topics.of(settings)
        self._state = state_directory(settings, beside)
        self.backend_in_use = self.faces_in_use = self.opening_hangs = False
        with ExitStack() as opened:
            self._detectors = self._open_detectors(opened)
            self.bundle: Bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
            self.metrics = parts.metrics(
                clock,
                [camera.name for camera in settings.cameras],
                release_every=settings.privacy.release_every,
            )
            self._open(opened)
            self._closing = opened.pop_all()

    def _open_detectors(self, opened: ExitStack) -> SharedDetectors:
        """The cameras' detectors; on a CPU they are opened in a thread, beside the age model."""
        settings, detectors = self.settings, SharedDetectors(_cores())

        def open_ahead() -> None:
            if not wants_gpu(settings.detection.engine):
                with suppress(Exception):  # each camera's thread meets the same fault, and reports it
                    self._parts.open_ahead(settings.cameras, settings, detectors)

        def close() -> None:
            if not self.opening_hangs:
                self._opening.join(OPENING_ENDS)
            if not self._opening.is_alive():
                detectors.close()

        self._opening = threading.Thread(target=open_ahead, name="open-ahead", daemon=True)
        opened.callback(close)
        self._opening.start()
        return detectors

    def _open(self, opened: ExitStack) -> None:
        """Make the stages against the direction of the data, each with what it hands on to."""
        self._lock = StateLock(self._state)
        opened.callback(self._lock.release)
        self.model_report = ModelReport(self.bundle, self.metrics)
        self.backend = self._serve_model()
        opened.callback(self._close_backend)
        self.face_report = FaceReport(self.settings.detection.engine, self.metrics)
        self.faces = self._serve_faces() if wants_gpu(self.settings.detection.engine) else None
        self._detectors.served = self.faces
        opened.callback(self._close_faces)
        self.status = Status(
            self.metrics,
            cameras=lambda: self.lanes.cameras,
            waiting=lambda: self.outbox.depth,
            gate_is_off=lambda: self.gate.rule.is_off,
            serves=lambda: self.http is None or self.http.port is not None,
            runs_on=self._runs_on,
            has_broker=self.settings.mqtt.enabled,
            has_webhook=bool(self.settings.webhook.url),
        )
        self.heartbeats = Heartbeats(self.clock, PATIENCE + self.settings.mqtt.connect_timeout)
        self.http = self._serve_pages() if self.settings.metrics.enabled else None
        if self.http:
            opened.callback(self.http.stop)
        self.audits = self._open_audits()
        self.outbox = self._open_outbox()
        opened.callback(self.outbox.close)
        self.web = self._serve_web() if self.settings.web.enabled else None
        if self.web:
            opened.callback(self.web.stop)
        self.outbox_report = OutboxReport(self.outbox, self.metrics, self.clock)
        self.recorder = self._open_history(opened) if self.settings.history.days else None
        self.statuses = self._make_statuses()
        self.publisher = self._make_publisher() if self.settings.mqtt.enabled else None
        self.webhook = self._make_webhook() if self.settings.webhook.url else None
        self.announce(self.settings)
        self._join_counting()
        self._join_cameras()

    def _join_counting(self) -> None:
        settings, bundle = self.settings, self.bundle
        self.queue = self._parts.queue(settings.model.queue)
        topics = self._topics
        store = self.recorder or self.outbox
        rule = self.rule_of(settings)
        correction = Correction(rule.model, load_confusion(bundle))
        counted = self.metrics.window_closed
        self.gate = Gate(store, rule, topics, on_visits=counted, correction=correction)
        self.counting = CountingWorker(
            partial(build_counting, settings, bundle, self.backend, self.metrics),
            self.queue,
            self.gate,
            settings.cameras,
            metrics=self.metrics,
            clock=self.clock,
            resumes=self._resumes,
            on_step=self.recorder.record_noted if self.recorder else None,
        )
        self.counting.resume()

    def _join_cameras(self) -> None:
        # One more than cores: one is idle while its thread waits for Python's lock. More make each later.
        self._turns = Turns(_cores() + 1)
        # A thread that waits for room in the queue must not wait for ever.
        self.threads = Threads(self.heartbeats, self.clock, on_failure=self.queue.hurry)
        self.lanes = Lanes(self.threads, self.clock, self._make_worker, self._make_camera)
        self.lanes.make(self.settings.cameras, self.settings)

    def rule_of(self, settings: Settings) -> Rule:
        """What the gate releases by under these settings."""
        return Rule.of(settings, Model(name=self.bundle.name, version=self.bundle.version))

    def close(self) -> None:
        """Give back port, outbox, backend and state directory; all threads that use them have ended."""
        self._closing.close()

    def _close_backend(self) -> None:
        if not self.backend_in_use:
            self.backend.close()

    def _close_faces(self) -> None:
        if self.faces and not self.faces_in_use:
            self.faces.close()

    def _open_audits(self) -> AuditBook | None:
        """What is kept of audits; it is not read where they are off, and its results are not published."""
        if not (self.settings.web.enabled and self.settings.web.audit):
            return None
        return AuditBook(self._state / AUDITS, lambda epsilon: discrete_laplace(epsilon, secrets.randbelow))

    def _open_outbox(self) -> Outbox:
        bounds, set_aside = self.settings.outbox, self.metrics.outbox_set_aside
        return self._parts.outbox(
            self._state / "outbox.db",
            bounds.max_rows,
            bounds.max_bytes,
            clock=self.clock,
            on_set_aside=lambda reason: set_aside.labels(reason).inc(),
            receivers=Receiver.of(self.settings),
        )

    def _open_history(self, opened: ExitStack) -> Recorder:
        metrics, kept = self.metrics, self.settings.history
        history = History(
            self._state / FILE,
            kept.days,
            kept.max_bytes,
            clock=self.clock,
            on_set_aside=lambda reason: metrics.history_set_aside.labels(reason).inc(),
        )
        opened.callback(history.close)
        return Recorder(self.outbox, history, on_failure=metrics.history_failures.inc)

    def _serve_model(self) -> ServingBackend:
        metrics = self.metrics
        return self._parts.serve(
            self.settings.model,
            self.bundle,
            engines=self._state / "engines",
            clock=self.clock,
            rng=self._rng,
            on_change=lambda: self.model_report.changed(self.backend),
            on_fallback=lambda reason: metrics.fallbacks.labels(reason).inc(),
            on_refused=lambda fault: metrics.engines_refused.labels(fault).inc(),
        )

    def _serve_faces(self) -> ServingBackend:
        metrics = self.metrics
        # In the folders of the age model's: `engine build` writes both.
        store = EngineStore(
            self._state / "engines",
            [self.bundle.folder / "engines"],
            on_refused=lambda fault: metrics.engines_refused.labels(fault).inc(),
        )
        return self._parts.serve_faces(
            self.settings.detection.engine,
            store,
            clock=self.clock,
            rng=self._rng,
            on_change=lambda: self.face_report.changed(self.faces),
            on_fallback=lambda reason: metrics.detector_fallbacks.labels(reason).inc(),
        )

    def _runs_on(self) -> dict[str, str]:
        faces = self.face_report.facts(self.faces)["backend"]
        return {"age_model": self.backend.name, "face_detection": faces}

    def _serve_pages(self) -> PatientServer[HttpServer]:
        metrics, settings = self.metrics, self.settings.metrics
        pages = {
            "/metrics": lambda accept: (HTTPStatus.OK, *metrics.exposition(accept)),
            "/healthz": health_page(self.heartbeats.stuck, self.status.facts),
        }
        return PatientServer(partial(HttpServer, settings.host, settings.port, pages), self.clock)

    def _serve_web(self) -> PatientServer[WebServer]:
        """The page; its libraries are loaded where it is served only."""
        from edge.web.server import WebServer

        self._read_web(self.settings)
        make = partial(
            WebServer,
            self._state / FILE,
            self.settings,
            beside=self.beside,
            clock=self.clock,
            current=lambda: self.in_force,
            tools=self._tools() if self.settings.web.setup else None,
            audit=self._audit_tools(),
        )
        return PatientServer(make, self.clock, "page is")

    def _make_publisher(self) -> Publisher:
        settings, metrics = self.settings, self.metrics
        return Publisher(
            settings.mqtt,
            settings.site.name,
            settings.box,
            store=self.outbox.of(Receiver.MQTT),
            statuses=self.statuses,
            clock=self.clock,
            rng=self._rng,
            secrets_beside=self.beside,
            home_assistant=self._topics.home_assistant,
            connect=self._parts.connect,
            on_connected=self.status.set_connected,
            on_published=metrics.message_published,
            on_failure=lambda failure: metrics.failures.labels(failure.value).inc(),
        )

    def _make_webhook(self) -> WebhookSender:
        metrics = self.metrics
        return WebhookSender(
            read_hook(self.settings.webhook, self.beside),
            self.outbox.of(Receiver.WEBHOOK),
            clock=self.clock,
            rng=self._rng,
            on_delivered=lambda _seconds: metrics.posted.inc(),
            on_failure=lambda failure: metrics.webhook_failures.labels(failure.value).inc(),
            on_state=self.status.set_posting,
        )

    def _make_statuses(self) -> StatusEncoder:
        settings = self.settings
        model = self._loaded_model()
        return StatusEncoder(settings.site.name, settings.box, __version__, model, self._audited)

    def _audited(self) -> dict[str, Audited]:
        """The last results of the audits, of cameras as they are configured now."""
        if self.audits is None:
            return {}
        names = sorted(camera.name for camera in self.in_force.cameras)
        last = {name: self.audits.audit(name, self._setup_of(name)).last for name in names}
        return {name: Audited(**result.model_dump()) for name, result in last.items() if result}

    def _setup_of(self, name: str) -> str:
        """What decides who is counted at a camera; empty where it is not configured."""
        model = f"{self.bundle.name} {self.bundle.version}"
        found = [camera for camera in self.in_force.cameras if camera.name == name]
        return setup_of(found[0], self.in_force, model) if found else ""

    def forget_camera(self, camera: str) -> None:
        """The camera was removed: its retained messages are cleared at the broker."""
        if self.publisher:
            self.publisher.forget_camera(camera)

    def renew_secrets(self, settings: Settings) -> None:
        """Use the passwords and certificates that the files hold now. Raises ConfigurationError."""
        access = read_access(settings.mqtt, self.beside) if self.publisher else None
        hook = read_hook(settings.webhook, self.beside) if self.webhook else None
        page = self._read_web(settings) if self.web else None
        if self.publisher and access:
            self.publisher.renew(access)
        if self.webhook and hook:
            self.webhook.renew(hook)
        if self.web and self.web.server and page:
            self.web.server.renew(page)

    def _read_web(self, settings: Settings) -> WebSecrets:
        from edge.web.server import read_web

        return read_web(settings.web, self.beside)

    def announce(self, settings: Settings) -> None:
        """Announce the box and its cameras to Home Assistant, as far as it has changed."""
        try:
            earlier = self.outbox.retained()
            made = announcements(settings, self._topics, earlier)
            if new := {topic: payload for topic, payload in made.items() if earlier.get(topic) != payload}:
                self.outbox.commit(retained=new)
        except OutsideError as error:
            log.warning("%s; Home Assistant gets no new announcement until the next start", error)

    def _loaded_model(self) -> LoadedModel:
        bundle = self.bundle
        use = bundle.terms.commercial_use
        return LoadedModel(name=bundle.name, version=bundle.version, commercial_use=use)

    def _make_worker(self, camera: CameraSettings, settings: Settings) -> VisionWorker:
        build = self._parts.build_vision
        return VisionWorker(
            camera,
            partial(build, camera, settings, self.bundle, self.metrics, detectors=self._detectors),
            self.queue,
            WatchedCamera(camera, self.clock, self._report_camera),
            slot=self._parts.slot(),
            metrics=self.metrics,
            clock=self.clock,
            turn=self._turns,
            lost_after=settings.tracking.lost_after,
            resumes=self._resumes,
            show=self._viewers.show,
            count=self._viewers.count,
            reach=self._viewers.reach,
        )

    def _make_camera(self, worker: VisionWorker) -> Camera:
        return Camera(
            worker.camera,
            self._open_source,
            worker.slot,
            self.clock,
            rng=self._rng,
            on_status=worker.watched.report,
            on_drop=worker.lose_frame,
        )

    def _open_source(self, camera: CameraSettings) -> Source:
        """Open a camera whose pictures are due between those of the others, as far as the stream allows."""
        names = [one.name for one in self.in_force.cameras]
        turn = names.index(camera.name) / len(names) if camera.name in names and len(names) > 1 else None
        return self._parts.open_source(camera, secrets_beside=self.beside, clock=self.clock, turn=turn)

    def _report_camera(self, status: CameraStatus) -> None:
        report_camera(status, self.metrics, self.camera_status)

    def camera_status(self, status: CameraStatus) -> None:
        """Publish the state of a camera. The counting thread records it: no other may wait for the disk."""
        if self.publisher:
            self.publisher.camera_status(status)
        if self.recorder:
            topic = self._topics.camera_status(status.camera_id)
            self.recorder.note({topic: self.statuses.camera(status)})

    def _tools(self) -> Tools | None:
        """What Set up gets; its threads are made when somebody asks."""
        if self._configured is None:
            return None
        return Tools(
            self._configured,
            watch=self._viewers.watch,
            find=lambda camera: FaceLikes(camera, self.in_force.detection.engine),
            start=self._start_asked,
            on_preview=self._say_preview,
            on_fault=self.metrics.preview_failures.inc,
            reload=self.reload_wanted.set,
            rejected=lambda: self.status.reload_rejected,
        )

    def _audit_tools(self) -> AuditTools | None:
        """What the audit gets; None where it is off."""
        if self.audits is None:
            return None
        return AuditTools(
            watch=self._viewers.watch,
            visits=self._viewers.visits,
            find=lambda camera: LiveFaces(camera, self.in_force.detection.engine),
            start=self._start_asked,
            on_preview=self._say_preview,
            book=self.audits,
            setup=self._setup_of,
            publish=self._say_audits,
        )

    def _start_asked(self, name: str, work: Callable[[], None]) -> None:
        thread = self.threads.make(name, lambda _: work(), watched=False)
        with self._guard:
            thread.start()
            self._asked = [*(one for one in self._asked if one.is_alive()), thread]

    def wait_for_opening(self, deadline: float) -> bool:
        """Give the opening of face networks until `deadline` (monotonic seconds); whether it ended."""
        return self.threads.join([self._opening], deadline, may_hang=True)

    def wait_for_asked(self, deadline: float) -> bool:
        """Give the threads of the page until `deadline` (monotonic seconds); whether all ended."""
        return self.threads.join(self._asked, deadline, may_hang=True)

    def _say_preview(self, runs: bool) -> None:
        """A still or a live picture begins or has ended: there may be one of each."""
        with self._guard:
            self._previews += 1 if runs else -1
            if self.publisher:
                self.publisher.preview = self._previews > 0
            self._record_online()

    def _say_audits(self) -> None:
        """An audit was finished."""
        with self._guard:
            if self.publisher:
                self.publisher.renewals += 1
            self._record_online()

    def _record_online(self) -> None:
        if not self._is_offline:  # once offline is recorded, nothing follows it
            status = self.statuses.box("online", self._begun_at, preview=self._previews > 0)
            self._record(self._topics.box_status, status)

    def box_status(self, state: BoxState, reason: str = "") -> None:
        """Record that the daemon runs or has stopped, as the broker is told."""
        with self._guard:
            self._is_offline = state == "offline"
            self._record(self._topics.box_status, self.statuses.box(state, self.clock.now(), reason))

    def _record(self, topic: str, payload: bytes) -> None:
        if self.recorder:
            self.recorder.record(retained={topic: payload})


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def check_receivers(settings: Settings, beside: Path) -> None:
    """Raise ConfigurationError on a secret or certificate that cannot be used; opens no connection."""
    if settings.mqtt.enabled:
        read_access(settings.mqtt, beside)
    if settings.webhook.url:
        read_hook(settings.webhook, beside)


def check_sources(settings: Settings, beside: Path) -> None:
    """Raise ConfigurationError on a camera's source or secret that cannot be used; opens none."""
    for camera in settings.cameras:
        validate_source(camera, beside)
