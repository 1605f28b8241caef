"""Checks the announcements by Home Assistant's own schema and renders their templates: `make home-assistant`.

It needs Home Assistant and its Python, and nothing of ours. Argument: the golden file of announcements.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from homeassistant import const, core
from homeassistant.components.mqtt import abbreviations, binary_sensor, discovery, sensor
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA
from homeassistant.helpers.template import Template

PLATFORMS = {"sensor": sensor, "binary_sensor": binary_sensor}


def check(payload: dict[str, Any]) -> int:
    """The number of entities that Home Assistant takes; raises what it finds wrong."""
    found = discovery.MQTTDiscoveryPayload(payload)
    discovery._replace_all_abbreviations(found)
    DEVICE_DISCOVERY_SCHEMA(found)
    for component in found["components"].values():
        merged = discovery.MQTTDiscoveryPayload(
            {**component, "device": found["device"], "origin": found["origin"]}
        )
        platform = merged.pop("platform")
        if component.keys() - {"platform"}:
            PLATFORMS[platform].DISCOVERY_SCHEMA(merged)
    return len(found["components"])


async def render(payloads: dict[str, Any], samples: dict[str, str]) -> dict[str, Any]:
    """What each entity shows of the sample messages, by its unique id."""
    with tempfile.TemporaryDirectory() as folder:
        hass = core.HomeAssistant(folder)
        shown = {}
        for payload in payloads.values():
            for component in payload["components"].values():
                sample = samples[component["state_topic"]]
                template = Template(component["value_template"], hass)
                shown[component["unique_id"]] = str(template.async_render_with_possible_json_value(sample))
        await hass.async_stop(force=True)
    return shown


def main() -> None:
    """Exit status 0: every announcement is accepted, and every template gives the golden value."""
    assert abbreviations.ABBREVIATIONS
    logging.disable(logging.WARNING)  # that no instance of it runs while its schemas are called
    golden = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    assert const.__version__ == golden["accepted_by"], const.__version__
    entities = sum(check(json.loads(json.dumps(payload))) for payload in golden["announcements"].values())
    shown = asyncio.run(render(golden["announcements"], golden["samples"]))
    if shown != golden["shown"]:
        sys.exit(f"differs from the golden values: {json.dumps(shown, indent=2)}")
    sys.stdout.write(f"Home Assistant {const.__version__} accepts {entities} entities\n")


if __name__ == "__main__":
    main()
