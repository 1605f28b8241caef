"""One store's day as the page shows it: published messages, put together and left as they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from edge.config import Settings
from edge.delivery.history import Message, Reader
from edge.release.messages import rfc3339

Json = dict[str, Any]

MISSED = 3
"""Windows without a message after which the page no longer says that it is live."""

_PLACE = ("box", "camera", "zone")
_NOT_SHOWN = ("window_id", "sequence", "model", "schema")


def day_view(reader: Reader, settings: Settings, day: date, now: datetime) -> Json:
    """The messages of a store's day: visits by age, numbers without ages, cameras.

    Raises OutsideError where the history cannot be read.
    """
    time = settings.site.time
    start, end = time.day_bounds(day)
    flow = [message.body for message in reader.messages("flow", start, end)]
    retained = _of_this_box(reader.retained(), settings)
    last = max((body["end"] for body in flow if body["period"] == "window"), default=None)
    return {
        "site": settings.site.name,
        "box": settings.box,
        "timezone": settings.site.timezone,
        "day": day.isoformat(),
        "is_today": time.day_of(now) == day,
        "now": rfc3339(now.replace(microsecond=0)),
        "last": last,
        "live_until": _live_until(last or rfc3339(start), settings),
        "hours": _hours(settings, day),
        "ages": _ages(retained, reader.messages("periods", start, end), day),
        "flow": [_shown(body) for body in flow if body["period"] != "window"],
        "occupancy": [
            {"end": body["end"], **body["occupancy"]}
            for body in flow
            if body["period"] == "window" and body.get("occupancy")
        ],
        "cameras": _cameras(retained, flow, settings),
        "status": next((m.body for m in retained if _is_status(m) and m.body.get("box")), None),
    }


def _hours(settings: Settings, day: date) -> list[Json]:
    """The hours of the store's clock, and how long it is open in each."""
    time = settings.site.time
    return [
        {
            "start": rfc3339(begins),
            "end": rfc3339(ends),
            "label": time.local(begins).strftime("%H:%M"),
            "open_seconds": time.open_seconds(begins, ends, settings.site.opening),
        }
        for begins, ends in time.hours_of(day)
    ]


def _live_until(last: str, settings: Settings) -> str:
    """When more than `MISSED` windows should have been published since the one that ended at `last`."""
    silence = timedelta(seconds=MISSED * settings.windows.length + settings.windows.lateness)
    return rfc3339(datetime.fromisoformat(last) + silence)


def _of_this_box(retained: Iterable[Message], settings: Settings) -> list[Message]:
    """Without what is left of a former site, box or camera."""
    cameras = {camera.name for camera in settings.cameras}
    return [
        message
        for message in retained
        if message.body.get("site") == settings.site.name
        and (message.body.get("box") == settings.box or message.body.get("camera") in cameras)
    ]


def _ages(retained: Iterable[Message], periods: Iterable[Message], day: date) -> list[Json]:
    """Visits by age of each place, in total and by hour: of the day that is open, or of one that has ended.

    An hour of an ended day is a message of its own; of the open day, `today` has them all.
    """
    ages: dict[tuple[Any, ...], Json] = {}
    for message in retained:
        body = message.body
        if message.kind == "today" and body["day"] == day.isoformat():
            ages[_place(body)] = _age(body, body["total"], body["hours"])
    for message in periods:
        body = message.body
        found = ages.setdefault(_place(body), _age(body, None, []))
        if found.get("until"):  # the open day has it
            continue
        if body["period"] == "day":
            found["total"] = body["figures"]
        else:
            found["hours"].append(body["figures"])
    return sorted(ages.values(), key=lambda age: (age["box"] is None, age["camera"] or "", age["zone"] or ""))


def _age(body: Json, total: Json | None, hours: list[Json]) -> Json:
    return {
        **{name: body.get(name) for name in _PLACE},
        "until": body.get("until"),
        "total": total,
        "hours": hours,
        "corrected": body.get("corrected"),
        "privacy": body["privacy"],
    }


def _cameras(retained: Iterable[Message], flow: Iterable[Json], settings: Settings) -> list[Json]:
    """Every configured camera: its state, and how much of each window it was watched."""
    states = {m.body["camera"]: m.body for m in retained if _is_status(m) and m.body.get("camera")}
    strips: dict[str, list[Any]] = {camera.name: [] for camera in settings.cameras}
    for body in flow:
        if body["period"] == "window" and body.get("camera") in strips:
            strips[body["camera"]].append([body["start"], body["seconds"], body["coverage"]["seconds"]])
    return [
        {
            "name": name,
            **{key: states.get(name, {}).get(key) for key in ("state", "since", "reason")},
            "coverage": strip,
        }
        for name, strip in strips.items()
    ]


def _is_status(message: Message) -> bool:
    return message.kind == "status"


def _place(body: Json) -> tuple[Any, ...]:
    return tuple(body.get(name) for name in _PLACE)


def _shown(body: Json) -> Json:
    return {name: value for name, value in body.items() if name not in _NOT_SHOWN}
