"""The end of the daemon: threads end in the direction of the data, so that all that was seen is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from edge.daemon.composition import Composition
from edge.daemon.status import STOPPED
from edge.delivery import GOODBYE
from edge.ops.reasons import CropDrop
from edge.types import CameraState, CameraStatus

log = logging.getLogger(__name__)

VISION_ENDS = 2.0
"""Seconds that the vision threads get at the end, to finish a frame and count the visitors in view."""

CLASSIFYING_ENDS = 1.0
"""Seconds that the counting thread then gets for the crops that wait."""

COUNTING_ENDS = 1.5
"""Seconds that it gets for the rest before the senders end, and as long as these take besides."""

LEAVING_ENDS = 0.5
"""Seconds that all who may hang outside of Python get together at last. With the three above, 3 s of
`mqtt.drain_timeout` and 1.5 s of the goodbye that makes 9.5."""


@dataclass(frozen=True, slots=True)
class Running:
    """The threads beside those of the cameras. accelerators: open faster backends. stop_publishing: lets the
    senders drain and end.
    """

    counting: threading.Thread
    senders: Sequence[threading.Thread]
    accelerators: Sequence[threading.Thread]
    stop_publishing: threading.Event


def shut_down(made: Composition, running: Running) -> bool:
    """End all threads and close all stages, within ten seconds. False: a thread hangs outside of Python.

    Such a thread is in a camera's source, in TensorRT, in a face network that it opens, or in what the page
    has started. Where the counting has not ended, nothing is closed under it: it stores what it can until
    the process ends. A longer `mqtt.drain_timeout` than its 3 s comes on top.
    """
    for backend in filter(None, (made.backend, made.faces)):
        backend.stop()
    _end_counting(made, running.counting)
    _end_publishing(made, running)
    if running.counting.is_alive():
        log.error("the counting has not ended in time: visits that it has not stored yet are lost")
        return False
    made.outbox_report.measure(last=True)
    if depth := made.outbox.depth:
        log.warning("the outbox holds %d messages; they are sent after the next start", depth)
    made.backend_in_use = any(thread.is_alive() for thread in running.accelerators)
    made.faces_in_use = made.backend_in_use or (made.faces is not None and made.lanes.watching)
    leave_by = made.clock.monotonic() + LEAVING_ENDS
    made.opening_hangs = not made.wait_for_opening(leave_by)
    made.close()
    ended = made.wait_for_asked(leave_by)
    sources_ended = made.lanes.wait_for_sources(leave_by)
    return sources_ended and ended and not made.faces_in_use and not made.opening_hangs


def _end_counting(made: Composition, counting: threading.Thread) -> None:
    """End the cameras, then the counting; where time is short, visitors count without their ages."""
    made.lanes.end(made.clock.monotonic() + VISION_ENDS)
    made.queue.close()
    counting.join(CLASSIFYING_ENDS)
    if counting.is_alive():
        made.metrics.crops_dropped.labels(CropDrop.STOPPING).inc(made.queue.shed())
    made.threads.join([counting], made.clock.monotonic() + COUNTING_ENDS)


def _end_publishing(made: Composition, running: Running) -> None:
    """Report every camera as down, send what waits, and say goodbye to the broker."""
    for lane in made.lanes:
        name, now = lane.worker.camera.name, made.clock.now()
        lane.worker.watched.report(CameraStatus(name, CameraState.DOWN, now, STOPPED))
        lane.worker.watched.retire(removed=False)  # its source may still hang, and report when all is closed
    made.box_status("offline", "stopped")
    running.stop_publishing.set()
    sent_by = made.clock.monotonic() + made.settings.mqtt.drain_timeout + GOODBYE
    made.threads.join([running.counting, *running.senders, *running.accelerators], sent_by)
