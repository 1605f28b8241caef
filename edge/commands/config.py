"""`instore-edge config`: the effective configuration, and its schema for editors."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from edge.commands.options import add_common, add_json, load_configuration
from edge.config import Settings
from edge.config.redaction import without_path
from edge.config.tables.lines import Key
from edge.config.tables.writing import to_toml

DEFAULT = "default"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `show` and `schema` with their options."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    summary = (
        "Print the effective configuration: config.toml, conf.d, variables, --set and defaults together."
    )
    show = commands.add_parser("show", help=summary, description=f"{summary}\n{_MASKED}")
    examples = ["instore-edge config show", "instore-edge config show --origins --set mqtt.host=192.0.2.5"]
    add_common(show, examples)
    add_json(show)
    show.add_argument("--origins", action="store_true", help="also print where each key was set")
    show.set_defaults(command=_show)
    summary = "Print a JSON Schema of the configuration, for editors that complete and check TOML."
    schema = commands.add_parser("schema", help=summary, description=summary)
    add_common(schema, ["instore-edge config schema > config.schema.json"])
    schema.set_defaults(command=_schema)


_MASKED = (
    "Secrets are in files, whose names are shown. Masked as ***: paths of cameras, brokers and the webhook,\n"
    "and a broker's user that has no password. Write those again before you use the output as a file."
)


def _show(arguments: argparse.Namespace) -> int:
    loaded = load_configuration(arguments)
    table = shown(loaded.settings)

    def origin(key: Key) -> str:
        return loaded.origin(key) or DEFAULT

    if arguments.json:
        origins = {_dotted(key): origin(key) for key in keys(table)}
        found = {"configuration": table, "origins": origins} if arguments.origins else table
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(to_toml(table, origin) if arguments.origins else to_toml(table))
    return 0


def _schema(_: argparse.Namespace) -> int:
    from edge.config.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as tables, without what may be a secret: passwords are in files; some cameras have one in
    the path of their URL, and so have webhooks and brokers. A user without a password may be a token.
    """
    table = settings.model_dump(by_alias=True, exclude_none=True)
    for camera in table["cameras"]:
        camera["source"] = without_path(camera["source"])
    mqtt = table["mqtt"]
    mqtt["url"], mqtt["failover"] = without_path(mqtt["url"]), [*map(without_path, mqtt["failover"])]
    if mqtt["username"] and not mqtt["password_file"]:
        mqtt["username"] = "***"
    table["webhook"]["url"] = without_path(table["webhook"]["url"])
    return table


def keys(node: object, at: Key = ()) -> Iterator[Key]:
    """The keys of all values in nested tables and lists of tables."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from keys(value, (*at, name))
    elif isinstance(node, list | tuple) and node and all(isinstance(entry, dict) for entry in node):
        for number, entry in enumerate(node):
            yield from keys(entry, (*at, number))
    else:
        yield at


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))
