"""The page `/healthz`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from edge.ops.http import Page


def health_page(stuck: Callable[[], list[str]], facts: Callable[[], Mapping[str, Any]]) -> Page:
    """The page `/healthz`: 200 while every thread gets on, else 503 and which do not."""

    def page() -> tuple[HTTPStatus, str, bytes]:
        late = stuck()
        status = HTTPStatus.SERVICE_UNAVAILABLE if late else HTTPStatus.OK
        body = {"status": "stuck" if late else "ok", "stuck": late, **facts()}
        return status, "application/json", json.dumps(body).encode() + b"\n"

    return page
