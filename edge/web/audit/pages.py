"""What the audit answers to its page; who may ask was decided before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus

from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Request, Response

from edge.audit.error import FEWEST, FEWEST_ROUNDS, MOST
from edge.audit.words import audit_as_json
from edge.clock import Clock
from edge.config import CameraSettings, Settings
from edge.web.access import Access
from edge.web.answers import as_json, body_of
from edge.web.audit.rounds import Rounds
from edge.web.audit.tools import AuditTools

Answer = Callable[[Request], Response]

CLOSING = 5.0
"""Seconds that the thread of a round gets to end with the server."""


class AuditPages:
    """settings: those in force. token: the session of a request. stop: set when the server ends."""

    def __init__(
        self,
        tools: AuditTools,
        settings: Callable[[], Settings],
        access: Access,
        clock: Clock,
        *,
        token: Callable[[Request], str],
        stop: threading.Event,
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._token = token
        self._clock = clock
        self._rounds = Rounds(tools, access, clock, stop)
        self.answers: dict[tuple[str, str], Answer] = {
            ("GET", "/api/audit"): self._audits,
            ("GET", "/api/audit/round"): self._round,
            ("GET", "/api/audit/picture"): self._picture,
            ("POST", "/api/audit/begin"): self._begin,
            ("POST", "/api/audit/end"): self._end,
            ("POST", "/api/audit/drop"): self._drop,
            ("POST", "/api/audit/count"): self._count,
            ("POST", "/api/audit/publish"): self._publish,
        }

    def close(self) -> None:
        """End what runs; `stop` is set."""
        self._rounds.close(CLOSING)

    def _audits(self, _: Request) -> Response:
        """What was audited of each camera so far: an error or the number of rounds, and no count."""
        book, setup = self._tools.book, self._tools.setup
        cameras = [camera.name for camera in self._settings().cameras]
        found = [{"camera": name, **audit_as_json(book.audit(name, setup(name)))} for name in cameras]
        return as_json({"cameras": found})

    def _round(self, request: Request) -> Response:
        found = self._rounds.of(self._token(request))
        return as_json(found.as_json(self._clock.monotonic()) if found else {"state": "none"})

    def _picture(self, request: Request) -> Response:
        """The newest picture of this session's round; `no-store` is the page's header for all answers.

        A browser may ask for it just after the round has ended: that is no error of it.
        """
        found = self._rounds.of(self._token(request))
        if found is None:
            raise NotFound("there is no round")
        picture = found.picture
        return Response(
            picture, content_type="image/jpeg", status=HTTPStatus.OK if picture else HTTPStatus.NO_CONTENT
        )

    def _begin(self, request: Request) -> Response:
        lost_after = self._settings().tracking.lost_after
        if not self._rounds.begin(self._camera(request), self._token(request), lost_after):
            raise Conflict("a round runs now; there is one on the box at a time")
        return self._round(request)

    def _end(self, request: Request) -> Response:
        self._rounds.end(self._token(request))
        return self._round(request)

    def _drop(self, request: Request) -> Response:
        if not self._rounds.drop(self._token(request)):
            raise Conflict("there is no round without a count")
        return as_json({"state": "none"})

    def _count(self, request: Request) -> Response:
        seen = body_of(request).get("seen")
        if not isinstance(seen, int) or isinstance(seen, bool) or not 0 <= seen <= MOST:
            raise BadRequest(f"seen: is no count; allowed: 0 to {MOST}")
        if not self._rounds.answer(self._token(request), seen):
            raise Conflict("there is no round that waits for a count")
        return self._round(request)

    def _publish(self, request: Request) -> Response:
        """Make a result of the rounds since the last one: it goes to the status of the box."""
        settings = self._settings()
        day = settings.site.time.day_of(self._clock.now())
        camera = self._camera(request).name
        if self._tools.book.finish(camera, self._tools.setup(camera), day) is None:
            raise Conflict(f"needs {FEWEST} visitors and {FEWEST_ROUNDS} rounds since the last result")
        self._tools.publish()
        return self._audits(request)

    def _camera(self, request: Request) -> CameraSettings:
        name = body_of(request).get("camera")
        found = [camera for camera in self._settings().cameras if camera.name == name]
        if not found:
            raise BadRequest("camera: there is none of this name")
        return found[0]
