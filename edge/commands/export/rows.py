"""Published messages as rows of a table: one number a row, with names that stay the same over the years.

Brackets, lines and zones come and go with the configuration, so they are values of a column, not columns.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Any

from edge.delivery.history import Message
from edge.release.books.spread import Hour, over_day
from edge.release.carry_over import UNCLASSIFIED
from edge.release.messages import number, rfc3339
from edge.store_time import StoreTime

Row = dict[str, Any]
"""Column to value: text, a number, or None."""

COUNTS = (
    "site", "camera", "zone", "day", "start", "end", "local_start", "kind", "cell", "visits",
    "covered_seconds", "method", "minimum",
)  # fmt: skip
PERIODS = (
    "site", "box", "camera", "zone", "period", "day", "start", "end", "local_start", "kind", "cell", "visits",
    "covered_seconds", "open_seconds", "method", "minimum", "epsilon",
)  # fmt: skip
FLOW = (
    "site", "box", "camera", "period", "start", "end", "local_start", "figure", "value", "covered_seconds",
    "epsilon",
)  # fmt: skip

_ABOUT = (
    "sequence",
    "seconds",
    "coverage",
    "privacy",
    "quantities",
    "epsilon",
    "error",
    "lines_epsilon",
    "bounds",
    "min_seconds",
)
"""What a flow message says of its numbers."""


def counts_of_day(messages: Iterable[Message], day: date, time: StoreTime) -> Iterator[Row]:
    """The `counts` of one store's day, oldest first, by hour: each released number spread over its span."""
    tables: dict[str, _Table] = {}
    for message in messages:
        start = _moment(message.body["start"])
        table = tables.setdefault(message.topic, _Table(message.body, _hours(time, day, start)))
        table.add(message.body)
    for _, table in sorted(tables.items()):
        yield from table.rows(day, time)


def rows_of_period(message: Message, time: StoreTime) -> Iterator[Row]:
    """The rows of a `periods` message."""
    body, figures, privacy = message.body, message.body["figures"], message.body["privacy"]
    start, end = _moment(figures["start"]), _moment(figures["end"])
    told = [(*cell, privacy["epsilon"]) for cell in _cells(figures)]
    for kind, cell, visits, epsilon in (*told, *_by_age(body)):
        yield {
            **_names(body, "box", "camera", "zone"),
            "period": body["period"],
            "day": body["day"],
            **_times(start, end, time),
            "kind": kind,
            "cell": cell,
            "visits": visits,
            "covered_seconds": figures["covered_seconds"],
            "open_seconds": figures["open_seconds"],
            "method": privacy["method"],
            "minimum": privacy["minimum"],
            "epsilon": epsilon,
        }


def rows_of_flow(message: Message, time: StoreTime) -> Iterator[Row]:
    """The rows of a `flow` message: one for each number in it."""
    body = message.body
    start, end = _moment(body["start"]), _moment(body["end"])
    for figure, value in _figures(body):
        yield {
            **_names(body, "box", "camera"),
            "period": body["period"],
            **_times(start, end, time),
            "figure": figure,
            "value": value,
            "covered_seconds": body["coverage"]["seconds"],
            "epsilon": body["privacy"]["epsilon"],
        }


class _Table:
    """The hours of one camera and zone on one day, with what was released in them."""

    def __init__(self, body: dict[str, Any], hours: list[Hour]) -> None:
        self._body = body
        self._hours = hours
        self._visits: Counter[tuple[int, str, str]] = Counter()
        self._covered: dict[int, float] = defaultdict(float)

    def add(self, body: dict[str, Any]) -> None:
        """Add what one window released."""
        start, end = _moment(body["start"]), _moment(body["end"])
        for kind, cell, visits in _cells(body):
            parts = over_day(visits, self._since(body, kind, cell, start), end, self._hours)
            for hour, part in enumerate(parts):
                if part is not None:
                    self._visits[hour, kind, cell] += part
        hour = next((n for n, (_, ends) in enumerate(self._hours) if start < ends), len(self._hours) - 1)
        self._covered[hour] += body["coverage"]["seconds"]

    def _since(self, body: dict[str, Any], kind: str, cell: str, start: datetime) -> datetime:
        """Groups and the rest are of the whole day; a cell with noise is of its own window."""
        if kind in ("group", "other"):
            return self._hours[0][0]
        return _moment(body["since"][cell]) if cell in body["since"] else start

    def rows(self, day: date, time: StoreTime) -> Iterator[Row]:
        order = {key: place for place, key in enumerate(self._visits)}
        for (hour, kind, cell), visits in sorted(
            self._visits.items(), key=lambda item: (item[0][0], order[item[0]])
        ):
            start, end = self._hours[hour]
            yield {
                **_names(self._body, "camera", "zone"),
                "day": day.isoformat(),
                **_times(start, end, time),
                "kind": kind,
                "cell": cell,
                "visits": visits,
                "covered_seconds": number(self._covered[hour]),
                "method": self._body["privacy"]["method"],
                "minimum": self._body["privacy"]["minimum"],
            }


def _hours(time: StoreTime, day: date, begun: datetime) -> list[Hour]:
    """The hours of a day since counting began on it."""
    return [(max(start, begun), end) for start, end in time.hours_of(day) if end > begun]


def _cells(figures: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Kind, name and number of all that was released."""
    found = [("bracket", cell, n) for cell, n in figures["counts"].items()]
    found.append(("unclassified", UNCLASSIFIED, figures["unclassified"]))
    found += [("group", label, n) for label, n in figures["groups"].items()]
    found.append(("other", "other", figures["other"]))
    return ((kind, cell, n) for kind, cell, n in found if n is not None)


def _by_age(body: dict[str, Any]) -> Iterator[tuple[str, str, int, float]]:
    """Kind, `bracket/step`, number and epsilon of what is published by age as well."""
    for kind in ("dwell", "attention"):
        if part := body.get(kind):
            for bracket, numbers in part["visits"].items():
                for bound, visits in zip(part["bounds"], numbers, strict=True):
                    yield kind, f"{bracket}/{bound}", visits, part["epsilon"]


def _figures(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, int | float]]:  # noqa: ANN401
    """Every number of a message, by the names that lead to it; a step of a histogram by its lower bound."""
    if isinstance(value, dict):
        for steps, numbers in (("bounds", "visits"), ("sizes", "groups")):
            if steps in value:
                value = {**value, **dict(zip(map(str, value[steps]), value[numbers], strict=True))}
        for name, part in value.items():
            if name not in _ABOUT:
                yield from _figures(part, (*path, name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield ".".join(path), value


def _names(body: dict[str, Any], *names: str) -> Row:
    return {name: body.get(name) for name in ("site", *names)}


def _times(start: datetime, end: datetime, time: StoreTime) -> Row:
    local = start.astimezone(time.timezone).isoformat(timespec="seconds")
    return {"start": rfc3339(start), "end": rfc3339(end), "local_start": local}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


MakeRows = Callable[[Message, StoreTime], Iterator[Row]]
"""The rows of one message."""
