"""The page as a WSGI application: who may ask, what is answered, and the headers that protect a browser."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wrappers import Request, Response

from edge.clock import Clock
from edge.config import Settings
from edge.config.fields import is_address
from edge.delivery.history import Reader
from edge.errors import OutsideError
from edge.store_time import YEARS
from edge.web.access import SESSION, Access
from edge.web.answers import as_json, body_of
from edge.web.audit.pages import AuditPages
from edge.web.audit.tools import AuditTools
from edge.web.day import day_view
from edge.web.setup.pages import SetUp
from edge.web.setup.tools import Tools

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between two looks for a change of the history."""

LONGEST = 20.0
"""Seconds that a question for changes waits for one."""

MOST_WAITING = 8
"""Questions for changes that wait at once: each holds a thread. Further ones are answered at once."""

LATER = 2.0
"""Seconds after which those are to ask again."""

_PAGES = ("today", "setup", "check", "audit", "login")
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Answer = Callable[[Request], Response]
Environ = dict[str, Any]


class Page:
    """The application of one box. settings: those in force. stop: set when the server ends.

    tools: for Set up, audit: for the audit; None where it is off.
    """

    def __init__(
        self,
        reader: Reader,
        settings: Callable[[], Settings],
        access: Access,
        clock: Clock,
        *,
        stop: threading.Event,
        tools: Tools | None = None,
        audit: AuditTools | None = None,
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._access = access
        self._clock = clock
        self._stop = stop
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._files = _static_files()
        self._for_all: dict[tuple[str, str], Answer] = {
            ("GET", "/login"): lambda _: self._file("login.html"),
            ("POST", "/api/login"): self._log_in,
        }
        self._for_known: dict[tuple[str, str], Answer] = {
            ("GET", "/"): lambda _: self._file("today.html"),
            ("POST", "/api/logout"): self._log_out,
            ("GET", "/api/page"): self._about,
            ("GET", "/api/day"): self._day,
            ("GET", "/api/changes"): self._changes,
        }
        self._setup: SetUp | None = None
        if tools is not None:
            self._setup = SetUp(tools, settings, access, clock, token=self._token, stop=stop)
            self._for_known |= self._setup.answers
            self._for_known["GET", "/setup"] = lambda _: self._file("setup.html")
            self._for_known["GET", "/check"] = lambda _: self._file("check.html")
        self._audit: AuditPages | None = None
        if audit is not None:
            self._audit = AuditPages(audit, settings, access, clock, token=self._token, stop=stop)
            self._for_known |= self._audit.answers
            self._for_known["GET", "/audit"] = lambda _: self._file("audit.html")

    def close(self) -> None:
        """End what runs for the page; `stop` is set."""
        for part in (self._setup, self._audit):
            if part:
                part.close()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except HTTPException as refused:
            response = as_json({"error": refused.description}, refused.code or 500)
            response.headers.extend(_extra_headers(refused))
        except OutsideError as error:
            response = as_json({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        self._require_own_name(request)
        method = "GET" if request.method == "HEAD" else request.method
        if method != "GET":
            _require_own_origin(request)
        if method == "GET" and request.path.startswith("/static/"):
            return self._file(request.path.removeprefix("/static/"), request)
        if answer := self._for_all.get((method, request.path)):
            return answer(request)
        answer = self._for_known.get((method, request.path))
        if answer is None:
            known = any(request.path == path for _, path in (*self._for_all, *self._for_known))
            raise MethodNotAllowed() if known else NotFound("no such page")
        if not self._access.knows(self._token(request)):
            if request.path.startswith("/api/"):
                raise Unauthorized("log in first")
            return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/login"})
        return answer(request)

    def _require_own_name(self, request: Request) -> None:
        """A page of another name whose address was changed to this machine's must not read this one."""
        name = request.environ.get("HTTP_HOST", "")
        web = self._settings().web
        try:
            host = urlsplit(f"//{name}").hostname or ""
            own = is_address(host) or host_is_trusted(name, ["localhost", web.host, *web.names])
        except ValueError:  # a bracket without its other, or a port of thousands of digits
            own = False
        if not own:
            raise Forbidden("this name of the host is not in web.names")

    def _log_in(self, request: Request) -> Response:
        client = request.remote_addr or ""
        if wait := self._access.wait(client):
            headers = {"Retry-After": str(round(wait) + 1)}
            answer = as_json({"error": "too many attempts", "seconds": round(wait) + 1}, 429)
            answer.headers.extend(headers)
            return answer
        password = body_of(request).get("password")
        token = self._access.log_in(client, password if isinstance(password, str) else "")
        if token is None:
            log.warning("the page: a wrong password from %s", client)
            raise Unauthorized("wrong password")
        answer = as_json({})
        answer.set_cookie(
            self._cookie(request), token, max_age=int(SESSION), secure=request.is_secure, httponly=True,
            samesite="Strict", path="/",
        )  # fmt: skip
        return answer

    def _log_out(self, request: Request) -> Response:
        self._access.log_out(self._token(request))
        answer = as_json({})
        answer.delete_cookie(
            self._cookie(request), secure=request.is_secure, httponly=True, samesite="Strict", path="/"
        )
        return answer

    def _about(self, _: Request) -> Response:
        settings = self._settings()
        now = self._clock.now()
        return as_json(
            {
                "site": settings.site.name,
                "today": settings.site.time.day_of(now).isoformat(),
                "password": not self._access.is_open,
                "setup": self._setup is not None,
                "audit": self._audit is not None,
            }
        )

    def _day(self, request: Request) -> Response:
        settings, now = self._settings(), self._clock.now()
        text = request.args.get("day", "")
        try:
            day = date.fromisoformat(text) if text else settings.site.time.day_of(now)
        except ValueError:
            raise BadRequest("day: not a date such as 2026-01-31") from None
        if day.year not in YEARS:
            raise BadRequest(f"day: not a year from {YEARS[0]} to {YEARS[-1]}")
        return as_json(day_view(self._reader, settings, day, now))

    def _changes(self, request: Request) -> Response:
        """Answers when the history is not what it was at version `after`, and after a while at the latest."""
        after = request.args.get("after", "")
        if not self._waiting.acquire(blocking=False):
            return as_json({"version": self._reader.version, "again_after": LATER})
        try:
            until = self._clock.monotonic() + LONGEST
            while str(version := self._reader.version) == after and self._clock.monotonic() < until:
                if self._clock.wait(self._stop, POLL):
                    break
        finally:
            self._waiting.release()
        return as_json({"version": version, "again_after": 0})

    def _file(self, name: str, request: Request | None = None) -> Response:
        if name not in self._files:
            raise NotFound("no such page")
        kind = _TYPES[name.rpartition(".")[2]]
        answer = Response(self._files[name], content_type=f"{kind}; charset=utf-8")
        answer.headers["Cache-Control"] = "no-cache"
        answer.add_etag()
        return answer.make_conditional(request) if request else answer

    def _token(self, request: Request) -> str:
        return request.cookies.get(self._cookie(request), "")

    @staticmethod
    def _cookie(request: Request) -> str:
        """With the prefix, browsers take it only over TLS, from this host, for all of it."""
        return "__Host-instore" if request.is_secure else "instore"


def _require_own_origin(request: Request) -> None:
    """A form of another site sends its own origin, and a browser that sends none sends no other's request."""
    origin = request.headers.get("Origin")
    try:
        own = origin is None or urlsplit(origin).netloc == request.environ.get("HTTP_HOST")
    except ValueError:  # a bracket without its other
        own = False
    if not own:
        raise Forbidden("sent by another site")


def _extra_headers(refused: HTTPException) -> Mapping[str, str]:
    return {"Allow": "GET, HEAD, POST"} if isinstance(refused, MethodNotAllowed) else {}


def _static_files() -> dict[str, bytes]:
    """By name; page.html gives the HTML of every page, which differs in its program alone."""
    folder = resources.files("edge.web") / "static"
    files = {
        item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in _TYPES
    }
    shell = files.pop("page.html")
    return files | {f"{page}.html": shell.replace(b"PAGE", page.encode()) for page in _PAGES}
