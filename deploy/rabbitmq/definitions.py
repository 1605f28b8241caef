"""Writes the users, rights and the consumer's queue of a central RabbitMQ: FOLDER/definitions.json.

    deploy/mosquitto/setup FOLDER broker.example.com dashboard store-001 store-002
    python3 deploy/rabbitmq/definitions.py FOLDER

FOLDER is the one of `deploy/mosquitto/setup`, which makes the passwords. The user `dashboard` reads
everything, every other is a site and writes its own topics only. The queue is that of
`deploy/fleet/to_postgres.py`: it is there before its consumer, since RabbitMQ drops what no queue takes.
Needs Python 3.11 and nothing else. After a user was added: run both again, then
`rabbitmqctl import_definitions FOLDER/definitions.json`.
"""

from __future__ import annotations

import argparse
import base64
import grp
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

READER = "dashboard"
CONSUMER = "instore-to-postgres"
"""The client id of to_postgres.py."""
KINDS = ("*.*.*.counts", "*.*.*.periods", "*.*.periods", "*.*.flow", "*.*.status")
"""What it subscribes to, as RabbitMQ writes topics."""
EXPIRES = 2_592_000_000
"""Milliseconds, as `mqtt.subscription_ttl`: a queue whose arguments differ refuses its consumer."""
EXCHANGE = "amq.topic"

Definitions = dict[str, Any]


def definitions(passwords: dict[str, str], prefix: str = "instore") -> Definitions:
    """Those of these users. prefix: the boxes' `mqtt.prefix`. Raises ValueError for a name with a full stop.

    RabbitMQ writes the `/` of a topic as a full stop, so that `store.1` would be two levels.
    """
    for name in (*passwords, prefix):
        if re.search(r"[.*#]", name):
            raise ValueError(f"{name!r}: no name for RabbitMQ; allowed: names without '.', '*' and '#'")
    start, queue = prefix.replace("/", "."), f"mqtt-subscription-{CONSUMER}qos1"
    place = {"vhost": "/"}
    bound = {**place, "source": EXCHANGE, "destination": queue, "destination_type": "queue", "arguments": {}}
    return {
        "vhosts": [{"name": "/"}],
        "users": [_user(name, password) for name, password in passwords.items()],
        "permissions": [{**place, "user": name, **_rights(name)} for name in passwords],
        "topic_permissions": [
            {**place, "user": name, "exchange": EXCHANGE, **_topic_rights(name, start)} for name in passwords
        ],
        "queues": [{**place, "name": queue, "durable": True, "auto_delete": False,
                    "arguments": {"x-expires": EXPIRES}}],
        "bindings": [{**bound, "routing_key": f"{start}.{kind}"} for kind in KINDS],
    }  # fmt: skip


def _user(name: str, password: str) -> Definitions:
    salt = secrets.token_bytes(4)
    salted = salt + hashlib.sha256(salt + password.encode()).digest()
    return {
        "name": name, "tags": "", "password_hash": base64.b64encode(salted).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
    }  # fmt: skip


def _rights(name: str) -> Definitions:
    """At queues and exchanges. A reader makes queues of its own and binds them."""
    own = "^mqtt-subscription-.*qos[01]$"
    if name == READER:
        return {"configure": own, "write": own, "read": rf"{own}|^amq\.topic$"}
    return {"configure": "^$", "write": r"^amq\.topic$", "read": "^$"}


def _topic_rights(name: str, start: str) -> Definitions:
    if name == READER:
        return {"write": "^$", "read": rf"^{re.escape(start)}\."}
    return {"write": rf"^{re.escape(start)}\.{re.escape(name)}\.", "read": "^$"}


def main(words: Sequence[str] | None = None) -> int:
    """Write the file: status 0; 2 where the folder has no users, or a name cannot be one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--prefix", default="instore", help="the first levels of every topic (mqtt.prefix)")
    arguments = parser.parse_args(words)
    users: Path = arguments.folder / "users"
    try:
        passwords = {file.name: file.read_text().strip() for file in sorted(users.iterdir())}
        text = json.dumps(definitions(passwords, arguments.prefix), indent=1)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"definitions.py: {error}\n")
        return 2
    _write(arguments.folder / "definitions.json", text)
    return 0


def _write(file: Path, text: str) -> None:
    """For the broker's eyes alone. Where root writes it, the group `rabbitmq` reads what the broker needs."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text + "\n")
    if os.getuid() == 0 and _is_group("rabbitmq"):
        for path in (file.parent, file.parent / "server.key", new):
            shutil.chown(path, group="rabbitmq")
        new.chmod(0o640)
    new.replace(file)


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
