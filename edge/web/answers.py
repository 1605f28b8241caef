"""JSON in requests and answers of the page."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_options_header
from werkzeug.wrappers import Request, Response


def as_json(content: object, status: int = HTTPStatus.OK) -> Response:
    """An answer of the page's programs."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status=status, content_type="application/json")


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises BadRequest."""
    if parse_options_header(request.content_type)[0] != "application/json":
        raise BadRequest("the body must be application/json")
    try:
        found = json.loads(request.get_data())
    except (ValueError, RecursionError):  # RecursionError: brackets by the thousand
        found = None
    if not isinstance(found, dict):
        raise BadRequest("the body must be a JSON object")
    return found
