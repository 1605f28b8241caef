"""The MQTT topics that a box publishes on, and what they are called at the broker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote

from edge.config import MqttSettings, Settings
from edge.config.mqtt import DEFAULT_TOPIC, PLACEHOLDER


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one box. prefix: the first levels of each. id: the configured client id."""

    prefix: str
    site: str
    box: str
    id: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The topics of the configured box."""
        return cls(settings.mqtt.prefix, settings.site.name, settings.box, settings.mqtt.client_id)

    @property
    def client_id(self) -> str:
        """The MQTT client id of the box."""
        return self.id or "-".join((*self.prefix.split("/"), self.site, self.box))

    @property
    def box_status(self) -> str:
        """Retained: online or offline."""
        return self._name(self.box, "status")

    @property
    def box_today(self) -> str:
        """Retained: the released counts of the local day, over all cameras."""
        return self._name(self.box, "today")

    @property
    def box_flow(self) -> str:
        """The visits of every window, hour and day with noise, over all cameras."""
        return self._name(self.box, "flow")

    @property
    def box_periods(self) -> str:
        """The closed local hours and days, over all cameras."""
        return self._name(self.box, "periods")

    def of_site(self, site: str) -> Self:
        """The topics that the box had, or will have, under this name of its site."""
        return replace(self, site=site)

    def camera_status(self, camera: str) -> str:
        """Retained: up, down, frozen or dark."""
        return self._name(camera, "status")

    def flow(self, camera: str) -> str:
        """The visits of every window, hour and day, with noise."""
        return self._name(camera, "flow")

    def counts(self, camera: str, zone: str) -> str:
        """Every closed window."""
        return self._name(camera, zone, "counts")

    def latest(self, camera: str, zone: str) -> str:
        """Retained: the last closed window."""
        return self._name(camera, zone, "latest")

    def today(self, camera: str, zone: str) -> str:
        """Retained: the released counts of the local day."""
        return self._name(camera, zone, "today")

    def periods(self, camera: str, zone: str) -> str:
        """The closed local hours and days."""
        return self._name(camera, zone, "periods")

    def owner(self, topic: str) -> str | None:
        """The camera or box of this site that a topic belongs to; None for a topic of another site."""
        start = f"{self.prefix}/{self.site}/"
        return topic.removeprefix(start).partition("/")[0] if topic.startswith(start) else None

    def _name(self, *levels: str) -> str:
        return "/".join((self.prefix, self.site, *levels))


@dataclass(frozen=True, slots=True)
class Naming:
    """What topics are called at the broker (`mqtt.topic`): outbox, log and rights name them as `Topics` does.

    {prefix}, {site} and {levels} make up a topic of ours; {source} is its camera or box, {zone} its zone,
    {message} its last level. A level whose placeholders are all empty is left out. After a `=` a value is
    percent-encoded, as Azure IoT Hub asks for (`messages/events/camera={source}`).
    """

    template: str
    prefix_levels: int
    client_id: str

    @classmethod
    def of(cls, settings: MqttSettings) -> Self:
        """The naming that is configured."""
        return cls(settings.topic, settings.prefix.count("/") + 1, settings.client_id)

    def at_broker(self, topic: str) -> str:
        """The name at the broker of a topic of ours, also of one of a former site."""
        levels = topic.split("/")
        if self.template == DEFAULT_TOPIC or len(levels) < self.prefix_levels + 3:
            return topic
        values = self._values(levels)
        filled = ((level, _fill(level, values)) for level in self.template.split("/"))
        return "/".join(text for level, text in filled if text or not level)

    def _values(self, levels: list[str]) -> dict[str, str]:
        before, (site, *own) = levels[: self.prefix_levels], levels[self.prefix_levels :]
        return {
            "client_id": self.client_id,
            "prefix": "/".join(before),
            "site": site,
            "source": own[0],
            "zone": "/".join(own[1:-1]),
            "message": own[-1],
            "levels": "/".join(own),
        }


_FIELD = re.compile("(=?)" + PLACEHOLDER.pattern)


def _fill(level: str, values: Mapping[str, str]) -> str:
    """One level of a template with its values."""

    def value(found: re.Match[str]) -> str:
        equals, name = found.groups()
        return equals + (quote(values[name], safe="") if equals else values[name])

    return _FIELD.sub(value, level)
