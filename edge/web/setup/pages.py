"""What Set up answers to its pages; who may ask was decided before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, NotFound, PreconditionRequired
from werkzeug.wrappers import Request, Response

from edge.clock import Clock
from edge.config import CameraSettings, Settings
from edge.errors import ConfigurationError, InstoreError
from edge.web.access import Access
from edge.web.answers import as_json, body_of
from edge.web.setup.drawing import Drawing, OwnFile, drawing_of, drawn_on
from edge.web.setup.stills import Stills
from edge.web.setup.tools import Tools

log = logging.getLogger(__name__)

Answer = Callable[[Request], Response]
Token = Callable[[Request], str]

CLOSING = 5.0
"""Seconds that the thread of a still gets to end with the server."""


class SetUp:
    """settings: those in force. token: the session of a request. stop: set when the server ends."""

    def __init__(
        self,
        tools: Tools,
        settings: Callable[[], Settings],
        access: Access,
        clock: Clock,
        *,
        token: Token,
        stop: threading.Event,
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._token = token
        self._stills = Stills(tools, access, clock, stop)
        self._file = OwnFile(tools.configured)
        self._check = _Check(tools)
        self.answers: dict[tuple[str, str], Answer] = {
            ("GET", "/api/setup"): self._drawn,
            ("POST", "/api/setup/draft"): self._draft,
            ("POST", "/api/setup/write"): self._write,
            ("GET", "/api/setup/still"): self._still,
            ("POST", "/api/setup/still"): self._make_still,
            ("POST", "/api/setup/still/end"): self._end_still,
            ("GET", "/api/setup/picture"): self._picture,
            ("GET", "/api/setup/check"): lambda _: as_json(self._check.as_json()),
            ("POST", "/api/setup/check"): self._begin_check,
        }

    def close(self) -> None:
        """End what runs; `stop` is set."""
        self._stills.close(CLOSING)

    def _drawn(self, _: Request) -> Response:
        cameras = [
            {**drawn_on(camera), "version": self._file.version(camera)} for camera in self._settings().cameras
        ]
        return as_json({"cameras": cameras, "file": self._file.name, "rejected": self._tools.rejected()})

    def _draft(self, request: Request) -> Response:
        """The file that the drawing gives, what it does in words, and what is wrong with it."""
        try:
            drawing = self._drawing(request)
            text, words, problems = self._file.text(drawing, self._settings()), drawing.in_words(), ""
        except ConfigurationError as error:
            text, words, problems = "", [], str(error)
        return as_json({"text": text, "words": words, "faults": problems.splitlines()})

    def _write(self, request: Request) -> Response:
        try:
            drawing = self._drawing(request)
            if not drawing.version:
                raise PreconditionRequired("version: missing; send the camera's from GET /api/setup")
            path = self._file.write(drawing, self._settings())
        except InstoreError as error:
            raise Conflict(str(error)) from None
        log.info("the page: %s is written; lines and zones of camera %s", path, drawing.camera)
        self._tools.reload()
        return as_json({"path": path})

    def _drawing(self, request: Request) -> Drawing:
        body = body_of(request)
        self._camera(body)
        return drawing_of(body)

    def _camera(self, body: Mapping[str, Any]) -> CameraSettings:
        found = [camera for camera in self._settings().cameras if camera.name == body.get("camera")]
        if not found:
            raise BadRequest("camera: there is none of this name")
        return found[0]

    def _make_still(self, request: Request) -> Response:
        if not self._stills.ask(self._camera(body_of(request)), self._token(request)):
            raise Conflict("somebody else looks at a picture now")
        return self._still(request)

    def _still(self, request: Request) -> Response:
        still = self._stills.of(self._token(request))
        return as_json(still.as_json() if still else {"state": "none"})

    def _end_still(self, request: Request) -> Response:
        self._stills.end(self._token(request))
        return as_json({})

    def _picture(self, request: Request) -> Response:
        """The still of this session, and of no other; `no-store` is the page's header for all answers."""
        still = self._stills.of(self._token(request))
        if still is None or not still.picture or request.args.get("number") != str(still.number):
            raise NotFound("there is no picture now")
        return Response(still.picture, content_type="image/png")

    def _begin_check(self, _: Request) -> Response:
        self._check.begin(self._settings())
        return as_json({}, HTTPStatus.ACCEPTED)


class _Check:
    """The last results of `check`, in this process; one test at a time."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._guard = threading.Lock()
        self._runs = False
        self._verdicts: Sequence[Mapping[str, str]] = ()

    def begin(self, settings: Settings) -> None:
        """Test these settings, unless a test runs."""
        with self._guard:
            if self._runs:
                return
            self._runs = True
        self._tools.start("check", lambda: self._test(settings))

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        with self._guard:
            return {"runs": self._runs, "verdicts": self._verdicts}

    def _test(self, settings: Settings) -> None:
        found = self._verdicts
        try:
            found = self._tools.configured.check(settings)
        finally:
            with self._guard:  # both at once: who sees the end sees the results
                self._runs, self._verdicts = False, found
