"""The page of topics and messages, in Markdown, from the AsyncAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_HEAD = """# Topics and messages

Made by `make schemas` from [asyncapi.json](asyncapi.json), an AsyncAPI 3 document, which is made from the
models that encode the messages. `make asyncapi` checks it by AsyncAPI's own parser. `mqtt.topic` may give the
topics other names at the broker ([mqtt.md](mqtt.md)).
"""


def page(document: dict[str, Any]) -> str:
    """The whole page: a table of topics, then each message, then the parts that messages share."""
    return "\n".join([_HEAD, *_topics(document), *_messages(document), *_parts(document)]).rstrip() + "\n"


def _topics(document: dict[str, Any]) -> Iterator[str]:
    yield from ("## Topics", "", "| topic | retained | message | |", "|---|---|---|---|")
    operations = {o["channel"]["$ref"].rpartition("/")[2]: o for o in document["operations"].values()}
    for name, channel in document["channels"].items():
        message = channel["messages"]["message"].get("$ref", "").rpartition("/")[2]
        operation = operations[name]
        retained = operation["bindings"]["mqtt"].get("retain")
        kept = "received" if operation["action"] == "receive" else "yes" if retained else "no"
        title = document["components"]["messages"][message]["title"] if message else ""
        yield f"| `{channel['address']}` | {kept} | {_link(title)} | {channel['description']} |"
    yield ""


def _messages(document: dict[str, Any]) -> Iterator[str]:
    for message in document["components"]["messages"].values():
        yield from (f"## {message['title']}", "")
        schema = message["payload"].get("$ref", "").rpartition("/")[2]
        if schema:
            yield from _fields(document["components"]["schemas"][schema])
        else:
            yield from (message["summary"], "")


def _parts(document: dict[str, Any]) -> Iterator[str]:
    """What several messages hold, or a message holds as a table."""
    messages = document["components"]["messages"].values()
    whole = {message["payload"].get("$ref", "").rpartition("/")[2] for message in messages}
    for name, schema in document["components"]["schemas"].items():
        if name not in whole:
            yield from (f"## {name}", "")
            yield from _fields(schema) if "properties" in schema else _values(schema)


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    if text := schema.get("description"):
        yield from (_one_line(text), "")
    yield from ("| field | type | |", "|---|---|---|")
    for name, field in schema["properties"].items():
        optional = "" if name in schema.get("required", []) else ", may be missing"
        yield f"| `{name}` | {_type(field)}{optional} | {_one_line(field.get('description', ''))} |"
    yield ""


def _values(schema: dict[str, Any]) -> Iterator[str]:
    yield from (_one_line(schema.get("description", "")), "", f"One of {_type(schema)}.", "")


def _type(field: dict[str, Any]) -> str:  # noqa: PLR0911 - one line for each form of a JSON Schema
    if "$ref" in field:
        return _link(field["$ref"].rpartition("/")[2])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object":
        return _table(field)
    return str(field.get("format") or field.get("type", "any"))


def _table(field: dict[str, Any]) -> str:
    values = field.get("additionalProperties") or next(
        iter(field.get("patternProperties", {}).values()), None
    )
    return f"table of {_type(values)}" if isinstance(values, dict) else "table"


def _link(title: str) -> str:
    anchor = "".join(letter for letter in title.lower() if letter.isalnum() or letter in "-_")
    return f"[{title}](#{anchor})" if title else ""


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
