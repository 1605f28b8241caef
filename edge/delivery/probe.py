"""One trial connection: does the broker accept this box, and what may it publish?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edge.clock import Clock
from edge.config import MqttSettings
from edge.delivery.access import read_access
from edge.delivery.connection import TOO_LARGE, Connection, Limits
from edge.errors import BrokerError

_FAILURE = 0x80  # reason codes from here on are refusals


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a trial connection. reason: why it failed, empty if it did not. round_trip: seconds.

    security: TLS version and end of the certificate's validity. refused: topics that we may not publish on;
    None if the broker does not report it. too_large: topics whose messages the broker finds too large.
    """

    connected: bool
    reason: str
    round_trip: float
    security: str = ""
    refused: tuple[str, ...] | None = None
    too_large: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


def probe(
    settings: MqttSettings,
    client_id: str,
    *,
    clock: Clock,
    secrets_beside: Path,
    sizes: Mapping[str, int] | None = None,
    will: tuple[str, bytes] | None = None,
    broker: int = 0,
) -> Probe:
    """Connect as `Publisher` would, under another client id, and disconnect, which discards the will.

    sizes: topics that are checked for the right to publish messages with so many bytes of payload, over
    several connections if needed; nothing is published. broker: its number among those configured, from 0.

    The round trip runs from opening the socket to the broker's answer, TLS included. Raises
    ConfigurationError as `Publisher` does.
    """
    access, waiting = read_access(settings, secrets_beside).to(broker), dict(sizes or {})
    too_large, refused = list[str](), list[str]()
    while True:
        connection = Connection(access, client_id, clock, will)
        begin = clock.monotonic()
        try:
            connection.open(settings.connect_timeout)
            round_trip, security = clock.monotonic() - begin, connection.security()
            too_large += _oversized(connection, waiting)
            tried = {topic: waiting.pop(topic) for topic in list(islice(waiting, connection.in_flight))}
            payloads = {topic: b" " * size for topic, size in tried.items()}
            answers = connection.answers(payloads, settings.connect_timeout)
        except BrokerError as error:
            return Probe(False, str(error), clock.monotonic() - begin)
        finally:
            connection.close()
        refused += _with(answers or {}, lambda code: code >= _FAILURE and code != TOO_LARGE)
        too_large += _with(answers or {}, lambda code: code == TOO_LARGE)
        if answers is None or not waiting:
            known = None if answers is None else tuple(refused)
            return Probe(True, "", round_trip, security, known, tuple(too_large), connection.limits)


def _oversized(connection: Connection, waiting: dict[str, int]) -> list[str]:
    """Take the topics away whose messages exceed the limit that the broker has reported."""
    found = [topic for topic, size in waiting.items() if not connection.fits(topic, b" " * size)]
    for topic in found:
        del waiting[topic]
    return found


def _with(answers: Mapping[str, int], applies: Callable[[int], bool]) -> list[str]:
    return [topic for topic, code in answers.items() if applies(code)]
