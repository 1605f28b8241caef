"""The page `/healthz`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from edge.ops.http import Page


def health_page(stuck: Callable[[], list[str]], facts: Callable[[], Mapping[str, Any]]) -> Page:
    """The page `/healthz`: 200 while every thread makes progress, else 503 with the names of those that do
    not.

    stuck: the names of threads without progress. facts: further fields of the JSON object.
    """

    def page(_accept: str) -> tuple[HTTPStatus, str, bytes]:
        names = stuck()
        status = HTTPStatus.SERVICE_UNAVAILABLE if names else HTTPStatus.OK
        body = {"status": "stuck" if names else "ok", "stuck": names, **facts()}
        return status, "application/json", json.dumps(body).encode() + b"\n"

    return page
