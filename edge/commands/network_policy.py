"""`instore-edge network-policy`: a drop-in by which systemd lets the service reach its peers alone.

The kernel filters (`IPAddressDeny=`) what the service sends and receives; the program cannot change that.
"""

from __future__ import annotations

import argparse
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from edge.commands.options import add_common, read_settings
from edge.config import MqttSettings, Settings
from edge.config.fields import is_address
from edge.config.mqtt import parse_proxy
from edge.errors import ConfigurationError

RESOLV_CONF = Path("/etc/resolv.conf")

HEADER = """\
# Made by `instore-edge network-policy`: make it again when a camera, broker, webhook or address changes.
# Other machines read the metrics page only if --allow names them.
[Service]
IPAddressDeny=any
"""

Resolve = Callable[[str], Iterable[str]]
"""The addresses of a host name. Raises OSError where there are none."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    examples = [
        "instore-edge network-policy > /etc/systemd/system/instore-edge.service.d/network.conf",
        "instore-edge network-policy --config config.toml --allow 192.0.2.0/24",
    ]
    add_common(parser, examples, log_level="error")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NETWORK",
        help="allow another address or network, such as Prometheus; may be given several times",
    )
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    settings = read_settings(arguments)
    sys.stdout.write(network_policy(settings, arguments.allow))
    return 0


def network_policy(
    settings: Settings,
    allowed: Sequence[str] = (),
    *,
    resolve: Resolve | None = None,
    resolv_conf: Path = RESOLV_CONF,
) -> str:
    """The drop-in's text: this machine, the cameras, brokers, webhook and `allowed` (addresses or networks).

    Host names are replaced by the addresses that they have now; where there are some, the name servers of
    `resolv_conf` may be asked too. Raises ConfigurationError where a name has no address.
    """
    hosts = _hosts(settings)
    lines = ["IPAddressAllow=localhost"]
    for key, host in hosts.items():
        addresses = [host] if is_address(host) else _resolved(key, host, resolve or _look_up)
        lines += [f"# {key}", *(f"IPAddressAllow={_without_scope(address)}" for address in addresses)]
    if not all(map(is_address, hosts.values())):
        lines += ["# name servers", *(f"IPAddressAllow={server}" for server in _name_servers(resolv_conf))]
    if allowed:
        lines += ["# --allow", *(f"IPAddressAllow={_network(text)}" for text in allowed)]
    return HEADER + "\n".join(lines) + "\n"


def _hosts(settings: Settings) -> dict[str, str]:
    """The host of each peer by the key that names it, without this machine."""
    from edge.capture import is_live  # OpenCV takes a quarter of a second to load

    hosts = _ways_to_brokers(settings.mqtt)
    if settings.webhook.url:
        hosts["webhook.url"] = urlsplit(settings.webhook.url).hostname or ""
    for camera in settings.cameras:
        host = urlsplit(camera.source).hostname if "://" in camera.source and is_live(camera) else None
        if host:
            hosts[f"cameras.{camera.name}.source"] = host
    return {key: host for key, host in hosts.items() if host != "localhost"}


def _ways_to_brokers(mqtt: MqttSettings) -> dict[str, str]:
    """The brokers, or the proxy that is asked for them."""
    if not mqtt.enabled:
        return {}
    if mqtt.proxy:
        return {"mqtt.proxy": parse_proxy(mqtt.proxy).host}
    first, *others = mqtt.brokers
    further = {f"mqtt.failover[{number}]": broker.host for number, broker in enumerate(others)}
    return {"mqtt.url" if mqtt.url else "mqtt.host": first.host} | further


def _resolved(key: str, host: str, resolve: Resolve) -> list[str]:
    try:
        return sorted(set(resolve(host)))
    except OSError as error:
        raise ConfigurationError(
            f"{key}: {host!r} has no address here ({error.strerror}); "
            "run this on the box and its network, or configure an address"
        ) from None


def _look_up(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _name_servers(resolv_conf: Path) -> list[str]:
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:  # the resolver asks this machine then
        return []
    words = [line.split() for line in lines]
    servers = [word[1] for word in words if word[:1] == ["nameserver"] and len(word) > 1]
    return [_without_scope(server) for server in servers if is_address(server)]


def _without_scope(address: str) -> str:
    """systemd takes no scope, such as the one of fe80::1%eth0."""
    return address.partition("%")[0]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ConfigurationError(
            f"--allow {text!r}: {error}; allowed: an address or a network such as 192.0.2.0/24"
        ) from None
