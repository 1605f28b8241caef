"""The versioned JSON that leaves the box, and its JSON Schemas (`edge/release/schemas/`).

Payloads are compact UTF-8 JSON with keys in a fixed order; times are RFC 3339 in UTC with `Z`. A consumer
that upserts counts by `window_id` sees each window exactly once, however often it is delivered.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt

from edge.release.released import ReleasedWindow
from edge.types import CameraStatus, Coverage, WindowCounts

COUNTS = "instore.counts/1"
BOX = "instore.box/1"
CAMERA = "instore.camera/1"

_WINDOWS = uuid.UUID("12e50000-7669-4a0b-97e2-0f160180020b")
_FILES = {COUNTS: "counts-1.json", BOX: "box-1.json", CAMERA: "camera-1.json"}

BoxState = Literal["online", "offline"]


def rfc3339(moment: datetime) -> str:
    """A UTC time such as `2026-01-31T08:00:00Z`, with milliseconds where it is not a whole second."""
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def window_id(site: str, camera: str, zone: str, start: datetime, end: datetime) -> str:
    """The UUID (version 5) of a window: the same window has the same id in every run and on every box."""
    name = "/".join((site, camera, zone, rfc3339(start), rfc3339(end)))
    return str(uuid.uuid5(_WINDOWS, name))


def encode_counts(window: ReleasedWindow, sequence: int, model_name: str, model_version: str) -> bytes:
    """The `instore.counts/1` payload.

    sequence: 1, 2, ... per camera, without gaps; a consumer that sees a gap has missed a window.
    """
    coverage, released = window.coverage, window.released
    return _json(
        {
            "schema": COUNTS,
            "window_id": window_id(window.site, window.camera_id, window.zone, window.start, window.end),
            "sequence": sequence,
            "site": window.site,
            "camera": window.camera_id,
            "zone": window.zone,
            "start": rfc3339(window.start),
            "end": rfc3339(window.end),
            "seconds": _number((window.end - window.start).total_seconds()),
            "counts": dict(released.counts),
            "total": released.total,
            "unclassified": released.unclassified,
            "coverage": {
                "seconds": _number(coverage.seconds),
                "frames_analysed": coverage.analysed,
                "frames_dropped": dict(sorted(coverage.dropped.items())),
            },
            "model": {"name": model_name, "version": model_version},
            "privacy": {"minimum": released.minimum},
        }
    )


def encode_open(window: WindowCounts) -> bytes:
    """An open window's true counts, for the box's own disk alone: so they outlive a restart."""
    coverage = window.coverage
    return _json(
        {
            "site": window.site,
            "camera_id": window.camera_id,
            "zone": window.zone,
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "counts": dict(window.counts),
            "unclassified": window.unclassified,
            "coverage": [coverage.seconds, coverage.analysed, dict(coverage.dropped)],
        }
    )


def decode_open(payload: bytes) -> WindowCounts:
    """What `encode_open` wrote. Raises ValueError on anything else: a disk may give back what it likes."""
    fields = _OpenWindow.model_validate_json(payload)
    named = {name: getattr(fields, name) for name in _OpenWindow.model_fields}
    return WindowCounts(**{**named, "coverage": Coverage(*fields.coverage)})


class _OpenWindow(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    site: str
    camera_id: str
    zone: str
    start: datetime
    end: datetime
    counts: dict[str, NonNegativeInt]
    unclassified: NonNegativeInt
    coverage: tuple[NonNegativeFloat, NonNegativeInt, dict[str, NonNegativeInt]]


def decode_counts(payload: bytes) -> dict[str, Any]:
    """Read a counts payload. Raises ValueError unless it is complete JSON of schema `instore.counts/1`."""
    try:
        message = json.loads(payload)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict) or message.get("schema") != COUNTS:
        raise ValueError(f"not a message of schema {COUNTS}")
    if missing := [key for key in schema(COUNTS)["required"] if key not in message]:
        raise ValueError(f"{COUNTS}: lacks {', '.join(missing)}")
    return message


def encode_box_status(
    site: str, box: str, *, state: BoxState, since: datetime | None, version: str, reason: str = ""
) -> bytes:
    """The `instore.box/1` payload. `since` is None in a Last Will: its moment is not known beforehand."""
    return _json(
        {
            "schema": BOX,
            "site": site,
            "box": box,
            "state": state,
            "since": None if since is None else rfc3339(since),
            "reason": reason,
            "version": version,
        }
    )


def encode_camera_status(site: str, status: CameraStatus) -> bytes:
    """The `instore.camera/1` payload."""
    return _json(
        {
            "schema": CAMERA,
            "site": site,
            "camera": status.camera_id,
            "state": status.state.value,
            "since": rfc3339(status.since),
            "reason": status.reason,
        }
    )


@dataclass(frozen=True, slots=True)
class StatusEncoder:
    """The status payloads of one box, for whoever knows neither its name nor the program's version."""

    site: str
    box_name: str
    version: str

    def box(self, state: BoxState, since: datetime | None, reason: str = "") -> bytes:
        """See `encode_box_status`."""
        return encode_box_status(
            self.site, self.box_name, state=state, since=since, version=self.version, reason=reason
        )

    def camera(self, status: CameraStatus) -> bytes:
        """See `encode_camera_status`."""
        return encode_camera_status(self.site, status)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `instore.counts/1`, `instore.box/1` or `instore.camera/1`."""
    if name not in _FILES:
        raise ValueError(f"schema {name!r}: there are {', '.join(_FILES)}")
    text = (resources.files("edge.release") / "schemas" / _FILES[name]).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _number(value: float) -> int | float:
    """To the millisecond, whole numbers without a fraction."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
