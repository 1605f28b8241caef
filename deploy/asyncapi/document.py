"""`make schemas`: the AsyncAPI 3 document of every topic, from the topics and the models of the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from deploy.asyncapi.page import page
from edge import __version__
from edge.delivery import Topics
from edge.files import write_atomically
from edge.release.messages import BOX, CAMERA, COUNTS, FLOW, MODELS, PERIODS, TODAY

DOCS = Path(__file__).parents[2] / "docs"
FILE = DOCS / "asyncapi.json"
PAGE = DOCS / "messages.md"
ANNOUNCEMENT = "home-assistant-device"

_TOPICS = Topics("{prefix}", "{site}", "{box}", home_assistant="homeassistant")
_ANNOUNCED = "homeassistant/device/{site}/{device}/config"
_PARAMETERS = {
    "prefix": "`mqtt.prefix`, by default `instore`; may have several levels.",
    "site": "`site.name`",
    "box": "`box`",
    "camera": "`cameras.NAME`",
    "zone": "`cameras.NAME.zone`, by default `all`.",
    "device": "`instore_box_NAME` or `instore_camera_NAME`",
}
_OUT_OF_THE_BOX: list[tuple[str, str, str, bool, str]] = [
    ("counts", _TOPICS.counts("{camera}", "{zone}"), COUNTS, False, "Every closed window."),
    ("latest", _TOPICS.latest("{camera}", "{zone}"), COUNTS, True, "The last closed window."),
    (
        "today",
        _TOPICS.today("{camera}", "{zone}"),
        TODAY,
        True,
        "What was released of the store's day so far.",
    ),
    ("periods", _TOPICS.periods("{camera}", "{zone}"), PERIODS, False, "Every closed local hour and day."),
    (
        "flow",
        _TOPICS.flow("{camera}"),
        FLOW,
        False,
        "Numbers without ages of a window, hour or day, with noise.",
    ),
    ("cameraStatus", _TOPICS.camera_status("{camera}"), CAMERA, True, "The state of a camera."),
    ("boxStatus", _TOPICS.box_status, BOX, True, "The state of the box, and its Last Will."),
    ("boxToday", _TOPICS.box_today, TODAY, True, "`today`, summed over the cameras of the box."),
    ("boxPeriods", _TOPICS.box_periods, PERIODS, False, "`periods`, summed over the cameras of the box."),
    ("boxFlow", _TOPICS.box_flow, FLOW, False, "`flow`, summed over the cameras of the box."),
    (
        ANNOUNCEMENT,
        _ANNOUNCED,
        ANNOUNCEMENT,
        True,
        "Announces the box or a camera (`home_assistant.enabled`).",
    ),
]
"""Name, address, message, whether it is retained, and what it is."""


def document() -> dict[str, Any]:
    """The AsyncAPI document, as JSON."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "InStore",
            "version": __version__,
            "description": "Anonymous visitor counts by age from the cameras of a store. At least once, in "
            "order per topic: upsert by `window_id`. Times are RFC 3339 in UTC.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {"host": "localhost:1883", "protocol": "mqtt", "description": "The broker of `[mqtt]`."}
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def text_of(made: dict[str, Any]) -> str:
    """What the file holds."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def write_all() -> None:
    """Write the document and its page."""
    made = document()
    write_atomically(FILE, text_of(made))
    write_atomically(PAGE, page(made))


def _channels() -> dict[str, Any]:
    channels = {
        name: _channel(address, what, {"message": {"$ref": f"#/components/messages/{_key(message)}"}})
        for name, address, message, _, what in _OUT_OF_THE_BOX
    }
    birth = {
        "message": {"payload": {"type": "string", "enum": ["online", "offline"]}, "contentType": "text/plain"}
    }
    return {**channels, "homeAssistantBirth": _channel(_TOPICS.birth, "Home Assistant's own state.", birth)}


def _channel(address: str, what: str, messages: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in address
    }
    channel = {"address": address, "description": what, "messages": messages}
    return {**channel, "parameters": parameters} if parameters else channel


def _operations() -> dict[str, Any]:
    sent = {
        f"send-{name}": _operation("send", name, retain=retained)
        for name, _, _, retained, _ in _OUT_OF_THE_BOX
    }
    return {**sent, "receive-homeAssistantBirth": _operation("receive", "homeAssistantBirth")}


def _operation(action: str, channel: str, **binding: bool) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": 1, **binding, "bindingVersion": "0.2.0"}},
    }


def _messages() -> dict[str, Any]:
    messages = {
        _key(name): {
            "name": name,
            "title": name,
            "summary": _first_line(model.__doc__),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        }
        for name, model in MODELS.items()
    }
    announcement = {
        "name": ANNOUNCEMENT,
        "title": ANNOUNCEMENT,
        "summary": "Home Assistant's MQTT device discovery; empty to take the device back.",
        "contentType": "application/json",
        "payload": {"type": "object"},
    }
    return {**messages, ANNOUNCEMENT: announcement}


def _schemas() -> dict[str, Any]:
    """The models of all messages and their parts, each once."""
    _, found = models_json_schema(
        [(model, "serialization") for model in MODELS.values()],
        by_alias=True,
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _key(name: str) -> str:
    """A name that may stand in a reference: `instore.counts-2`."""
    return name.replace("/", "-")


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


if __name__ == "__main__":
    write_all()
