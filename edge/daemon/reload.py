"""Applies a new configuration to the running daemon, or rejects it as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge.config import Settings
from edge.counting.pipeline import counting_plan
from edge.daemon.changes import Change, compare
from edge.daemon.composition import Composition, check_sources
from edge.daemon.status import warn_of_blanks, warn_of_what_leaves
from edge.errors import ConfigurationError
from edge.ops.logs import set_level
from edge.ops.reasons import ReloadResult

log = logging.getLogger(__name__)


class Reloader:
    """Reads the configuration again and applies what can change while the daemon runs; for the main thread.

    load: reads it; raises ConfigurationError.
    """

    def __init__(self, made: Composition, load: Callable[[], Settings]) -> None:
        self._made = made
        self._load = load
        self.settings = made.settings
        """In force now."""

    def reload(self) -> None:
        """Apply the new configuration, or log why it is rejected."""
        try:
            change = self._read()
        except ConfigurationError as error:
            self._made.metrics.reloads.labels(ReloadResult.REFUSED).inc()
            self._made.status.reload_rejected = True
            log.error("reload rejected; still running the previous configuration: %s", error)
            return
        self._apply(change)
        self._made.metrics.reloads.labels(ReloadResult.APPLIED).inc()
        self._made.status.reload_rejected = False
        self._made.status.needs_restart = change.needs_restart
        set_level(change.settings.log.level)
        log.info("reload applied: %s", change)
        warn_of_blanks(change.settings, self._made.beside)
        warn_of_what_leaves(change.settings)
        if change.needs_restart:
            log.warning(
                "these keys need a restart; the old values stay in force until then: %s",
                ", ".join(change.needs_restart),
            )

    def _read(self) -> Change:
        """What the new configuration changes, once all of it has been checked."""
        made = self._made
        change = compare(self.settings, self._load())
        check_sources(change.settings, made.beside)
        made.renew_secrets(change.settings)
        return change

    def _apply(self, change: Change) -> None:
        """Change the cameras: the old ones' messages come before the new plan, those of the new after it."""
        made, settings = self._made, change.settings
        made.lanes.retire(change.gone, change.changed)
        self.settings = made.in_force = settings
        made.gate.rule = made.rule_of(settings)
        made.counting.follow(settings.cameras)
        # The series of removed cameras go when the counting thread comes to the plan.
        made.metrics.follow([*change.gone, *(camera.name for camera in settings.cameras)])
        made.queue.put(counting_plan(settings))
        for name in change.gone:
            made.forget_camera(name)
        self._start_cameras(change)
        made.announce(settings)

    def _start_cameras(self, change: Change) -> None:
        names = (*change.new, *change.changed)
        cameras = [camera for camera in change.settings.cameras if camera.name in names]
        for lane in self._made.lanes.make(cameras, change.settings):
            self._made.camera_status(lane.worker.watched.snapshot.status)
            lane.start()
