"""Announces the box and its cameras to Home Assistant, by its MQTT device discovery.

Nothing new leaves: every value is read from a retained topic by a template. Sensors show what was released of
the store's day; a number that is withheld is "unknown" there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge import __version__
from edge.config import CameraSettings, Settings
from edge.delivery.topics import Naming, Topics
from edge.types import CameraState

_ONLINE = "{{ value_json.state }}"
_DIAGNOSTIC = "diagnostic"


def announcements(
    settings: Settings, topics: Topics, earlier: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """The retained payloads that announce the box and each of its cameras, by topic; none where it is off.

    earlier: retained payloads of a former configuration, by topic: what their announcements have and these
    lack is taken back; that of a removed camera is empty, so that the camera is announced when it returns.
    """
    if not settings.home_assistant.enabled:
        return {}
    maker = _Maker(settings, topics, Naming.of(settings.mqtt))
    made = {topics.box_announcement: maker.box()}
    made |= {topics.camera_announcement(camera.name): maker.camera(camera) for camera in settings.cameras}
    before = earlier or {}
    return {topic: b"" for topic in before if topics.is_announcement(topic)} | {
        topic: json.dumps(_taking_back(announced, before.get(topic)), ensure_ascii=False).encode()
        for topic, announced in made.items()
    }


def _taking_back(announced: dict[str, Any], earlier: bytes | None) -> dict[str, Any]:
    """An entity that is named with its platform alone is removed, such as that of a former age bracket."""
    components = json.loads(earlier)["components"] if earlier else {}
    gone = {
        key: {"platform": component["platform"]}
        for key, component in components.items()
        if key not in announced["components"] and len(component) > 1
    }
    return {**announced, "components": announced["components"] | gone}


@dataclass(frozen=True, slots=True)
class _Maker:
    settings: Settings
    topics: Topics
    naming: Naming

    def box(self) -> dict[str, Any]:
        """The device of the box: whether it is connected, and the day summed over its cameras."""
        connected = {
            "platform": "binary_sensor",
            "name": "Connected",
            "device_class": "connectivity",
            "entity_category": _DIAGNOSTIC,
            "state_topic": self._at_broker(self.topics.box_status),
            "value_template": _ONLINE,
            "payload_on": "online",
            "payload_off": "offline",
        }
        components = {"connected": connected} | self._day(self.topics.box_today, "")
        return self._device(self.topics.box_announcement, self.settings.box, components, {})

    def camera(self, camera: CameraSettings) -> dict[str, Any]:
        """The device of a camera: its state, and the day of each zone where it counts ages."""
        components = {"state": self._state(camera)}
        if camera.ages:
            zones = camera.counted_zones
            for zone in zones:
                day = self._day(self.topics.today(camera.name, zone), zone)
                components |= {f"{key}_{zone}": one for key, one in day.items()} if len(zones) > 1 else day
            components |= {"watched": self._watched(camera)}
        via = {"via_device": _identifier(self.topics.box_announcement)}
        return self._device(self.topics.camera_announcement(camera.name), camera.name, components, via)

    def _device(
        self, topic: str, name: str, components: Mapping[str, dict[str, Any]], more: Mapping[str, str]
    ) -> dict[str, Any]:
        identifier = _identifier(topic)
        program = {"name": "InStore", "sw_version": __version__}
        return {
            "device": {
                "identifiers": [identifier],
                "name": f"{self.settings.site.name} {name}",
                "manufacturer": "InStore",
                "sw_version": __version__,
                **more,
            },
            "origin": program,
            "components": {
                key: {"unique_id": f"{identifier}_{key}", **component}
                for key, component in components.items()
            },
            "qos": 1,
        }

    def _state(self, camera: CameraSettings) -> dict[str, Any]:
        return self._sensor(
            "State",
            self.topics.camera_status(camera.name),
            _ONLINE,
            device_class="enum",
            options=[state.value for state in CameraState],
            entity_category=_DIAGNOSTIC,
        )

    def _watched(self, camera: CameraSettings) -> dict[str, Any]:
        """The share of the last window that the camera gave pictures for."""
        windows = self.settings.windows
        return self._sensor(
            "Watched",
            self.topics.latest(camera.name, camera.counted_zones[0]),
            "{{ (100 * value_json.coverage.seconds / value_json.seconds) | round(1) }}",
            unit_of_measurement="%",
            state_class="measurement",
            entity_category=_DIAGNOSTIC,
            expire_after=3 * windows.length + int(windows.lateness) + 60,
        )

    def _day(self, topic: str, zone: str) -> dict[str, dict[str, Any]]:
        """What was released of the store's day: all of it, each bracket, and up to when."""
        where = f" in {zone}" if zone not in ("", "all") else ""
        brackets = {f"age_{_slug(text)}": text for text in self.settings.windows.brackets}
        parts = {
            "visitors": ("Visitors today", "released"),
            "unclassified": ("Age unknown today", "unclassified"),
        }
        sensors = {key: self._count(name + where, topic, field) for key, (name, field) in parts.items()}
        sensors |= {
            key: self._count(f"Aged {text} today{where}", topic, f"counts['{text}']")
            for key, text in brackets.items()
        }
        until = self._sensor(
            f"Counted until{where}",
            topic,
            "{{ value_json.until }}",
            device_class="timestamp",
            entity_category=_DIAGNOSTIC,
        )
        return sensors | {"until": until}

    def _count(self, name: str, topic: str, field: str) -> dict[str, Any]:
        """A released number of the store's day; it starts again with the day."""
        return self._sensor(
            name,
            topic,
            f"{{{{ value_json.total.{field} }}}}",
            unit_of_measurement="visitors",
            state_class="total",
            last_reset_value_template="{{ value_json.total.start }}",
            expire_after=self._day_expires_after,
        )

    @property
    def _day_expires_after(self) -> int:
        """Seconds: the day is published at every release, and with noise after every window."""
        settings = self.settings
        return (
            2 * max(settings.privacy.release_every, settings.windows.length)
            + int(settings.windows.lateness)
            + 60
        )

    def _sensor(self, name: str, topic: str, template: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return {
            "platform": "sensor",
            "name": name,
            "state_topic": self._at_broker(topic),
            "value_template": template,
            "availability": [self._availability],
            **more,
        }

    @property
    def _availability(self) -> dict[str, str]:
        """The Last Will of the box: "online" and "offline" are Home Assistant's own words."""
        return {"topic": self._at_broker(self.topics.box_status), "value_template": _ONLINE}

    def _at_broker(self, topic: str) -> str:
        return self.naming.at_broker(topic)


def _slug(bracket: str) -> str:
    return bracket.replace("-", "_").replace("+", "_plus")


def _identifier(topic: str) -> str:
    """The device's identifier, from its announcement's topic: site, and box or camera."""
    site, name = topic.split("/")[-3:-1]
    return f"{site}_{name}"
