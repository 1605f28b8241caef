"""A gate on a store in memory, fed with made-up windows, for tests of what leaves it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from edge.config import load_settings
from edge.delivery.topics import Topics
from edge.release.correction import Correction
from edge.release.gate import Gate, MemoryStore
from edge.release.messages import Model
from edge.release.rule import Rule
from edge.types import Coverage, WindowCounts, ZoneCounts

TOPICS = Topics("instore", "store", "box")
MODEL = Model(name="painted", version="1")
BRACKETS = ("0-17", "18-64", "65+")
MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def rule(*overrides: str, cameras: Any = (("door", {}),), **tables: Any) -> Rule:
    """A rule by settings: every camera is a name and more keys."""
    sources = [{"name": name, "source": str(number), **more} for number, (name, more) in enumerate(cameras)]
    base = {"site": "store", "box": "box", "cameras": sources, "windows": {"brackets": list(BRACKETS)}}
    return Rule.of(load_settings(None, overrides, {**base, **tables}), MODEL)


def window(
    start: datetime, counts: Mapping[str, int] | None = None, *, camera: str = "door", **fields: Any
) -> WindowCounts:
    """A window of five minutes from `start`; cells that are not named are empty.

    counts: of the one zone `zone`; `zones` in its place are the counts of several.
    """
    brackets = fields.pop("brackets", BRACKETS)
    zones = fields.pop("zones", {fields.pop("zone", "all"): counts or {}})
    fields = {"end": start + WINDOW, "coverage": Coverage(seconds=300.0, analysed=3000), **fields}
    found = {name: _zone(given, brackets) for name, given in zones.items()}
    return WindowCounts(site="store", camera_id=camera, start=start, zones=found, **fields)


def _zone(counts: Mapping[str, int], brackets: tuple[str, ...]) -> ZoneCounts:
    by_bracket = {name: n for name, n in counts.items() if name != "unclassified"}
    return ZoneCounts(dict.fromkeys(brackets, 0) | by_bracket, counts.get("unclassified", 0))


class Box:
    """A gate, its store, and every message that has left it, by topic."""

    def __init__(
        self,
        by: Rule | None = None,
        *,
        seed: int = 1,
        store: MemoryStore | None = None,
        correction: Correction | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.correction = correction
        self.gate = self._gate(by or rule(), seed)
        self.at = MIDNIGHT

    def put(self, counts: Mapping[str, int] | None = None, **fields: Any) -> list[dict[str, Any]]:
        """Close the next window; the messages that leave with it."""
        self.gate.put(window(self.at, counts, **fields))
        self.at += WINDOW
        return self.take()

    def put_until(self, end: datetime, **fields: Any) -> list[dict[str, Any]]:
        """Close empty windows up to `end`; the messages that leave with them."""
        messages: list[dict[str, Any]] = []
        while self.at < end:
            messages += self.put(**fields)
        return messages

    def take(self) -> list[dict[str, Any]]:
        """The messages since the last call."""
        return [json.loads(payload) for payload in self.store.take()]

    def restart(self, by: Rule | None = None) -> None:
        """Start again on what the store kept."""
        self.gate = self._gate(by or self.gate.rule, 2)

    def _gate(self, by: Rule, seed: int) -> Gate:
        return Gate(self.store, by, TOPICS, random.Random(seed).randrange, correction=self.correction)


def of(messages: list[dict[str, Any]], schema: str, **fields: Any) -> list[dict[str, Any]]:
    """The messages of a schema, such as `counts`, with these fields."""
    return [
        message
        for message in messages
        if message["schema"].startswith(f"instore.{schema}/")
        and all(message[name] == value for name, value in fields.items())
    ]
