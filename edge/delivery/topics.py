"""The MQTT topics that a box publishes on, and what they are called at the broker."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote

from edge.config import MqttSettings, Settings
from edge.config.mqtt import DEFAULT_TOPIC, PLACEHOLDER

_DEVICES = "device"
"""The level of Home Assistant's topics that devices are announced below."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one box. prefix: the first levels of each. id: the configured client id.

    home_assistant: the first level of Home Assistant's topics; empty: nothing is announced there.
    """

    prefix: str
    site: str
    box: str
    id: str = ""
    home_assistant: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The topics of the configured box."""
        mqtt, announced = settings.mqtt, settings.home_assistant
        prefix = announced.prefix if announced.enabled else ""
        return cls(mqtt.prefix, settings.site.name, settings.box, mqtt.client_id, prefix)

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

    @property
    def birth(self) -> str:
        """Where Home Assistant reports that it has started; empty where nothing is announced."""
        return f"{self.home_assistant}/status" if self.home_assistant else ""

    @property
    def box_announcement(self) -> str:
        """Retained: announces the box to Home Assistant."""
        return self._announcement("box", self.box)

    def camera_announcement(self, camera: str) -> str:
        """Retained: announces a camera to Home Assistant; its name sorts after that of the box."""
        return self._announcement("camera", camera)

    def is_announcement(self, topic: str) -> bool:
        """Whether a topic announces a box or a camera, of any site, to Home Assistant."""
        return bool(self.home_assistant) and topic.startswith(f"{self.home_assistant}/{_DEVICES}/")

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

    def belongs(self, topic: str, cameras: Collection[str]) -> bool:
        """Whether a topic is one of this box or of these cameras."""
        if self.owner(topic) in (self.box, *cameras):
            return True
        announced = (self.box_announcement, *map(self.camera_announcement, cameras))
        return bool(self.home_assistant) and topic in announced

    def _announcement(self, kind: str, name: str) -> str:
        levels = (
            self.home_assistant,
            _DEVICES,
            _identifier(self.site),
            f"instore_{kind}_{_identifier(name)}",
        )
        return "/".join((*levels, "config"))

    def _name(self, *levels: str) -> str:
        return "/".join((self.prefix, self.site, *levels))


def _identifier(name: str) -> str:
    """A name in the letters that Home Assistant allows; one that is changed gets a part of its hash."""
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Naming:
    """What topics are called at the broker (`mqtt.topic`): outbox, log and rights name them as `Topics` does.

    {prefix}, {site} and {levels} make up a topic of ours; {source} is its camera or box, {zone} its zone,
    {message} its last level. A level whose placeholders are all empty is left out. After a `=` a value is
    percent-encoded, as Azure IoT Hub asks for (`messages/events/camera={source}`).
    """

    template: str
    prefix: str
    client_id: str

    @classmethod
    def of(cls, settings: MqttSettings) -> Self:
        """The naming that is configured."""
        return cls(settings.topic, settings.prefix, settings.client_id)

    def at_broker(self, topic: str) -> str:
        """The name at the broker of a topic of ours, also of one of a former site."""
        ours = (
            topic.startswith(f"{self.prefix}/") and len(topic.split("/")) >= len(self.prefix.split("/")) + 3
        )
        if self.template == DEFAULT_TOPIC or not ours:
            return topic
        values = self._values(topic)
        filled = ((level, _fill(level, values)) for level in self.template.split("/"))
        return "/".join(text for level, text in filled if text or not level)

    def _values(self, topic: str) -> dict[str, str]:
        site, *own = topic.removeprefix(f"{self.prefix}/").split("/")
        return {
            "client_id": self.client_id,
            "prefix": self.prefix,
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
