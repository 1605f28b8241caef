"""A JSON Schema of the configuration for editors, from the settings' own definitions."""

from __future__ import annotations

from typing import Any

from edge.config.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Configuration of instore-edge"


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of config.toml, and of a file in `conf.d`, which may hold any part of it.

    It has keys, types, choices, ranges and defaults. What takes a program to decide (names that differ,
    polygons that cross themselves, keys that go together) is for `instore-edge check`.
    """
    schema = Settings.model_json_schema(by_alias=True)
    for table in (schema, *schema["$defs"].values()):
        for key in table["properties"].values():
            key.pop("title", None)  # the key's name in other letters
    site = schema["properties"]["site"]
    site["anyOf"] = [{"type": "string"}, {"$ref": site.pop("$ref")}]
    schema["required"] = []
    schema["$defs"]["CameraSettings"]["required"] = ["name"]
    return {"$schema": DIALECT, **schema, "title": TITLE}
