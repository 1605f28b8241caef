"""One trial connection: does the broker accept this box, and what may it publish?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.clock import Clock
from edge.config import MqttSettings
from edge.delivery.access import read_access
from edge.delivery.connection import Connection
from edge.errors import BrokerError


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a trial connection. reason: why it failed, empty if it did not. round_trip: seconds.

    security: TLS version and end of the certificate's validity. refused: topics that we may not publish on;
    None if the broker does not report it.
    """

    connected: bool
    reason: str
    round_trip: float
    security: str = ""
    refused: tuple[str, ...] | None = None


def probe(
    settings: MqttSettings, client_id: str, *, clock: Clock, secrets_beside: Path, topics: Sequence[str] = ()
) -> Probe:
    """Connect as `Publisher` would, under another client id and without a will, and disconnect.

    topics: checked for the right to publish, over several connections if needed; nothing is published.

    The round trip runs from opening the socket to the broker's answer, TLS included. Raises
    ConfigurationError as `Publisher` does.
    """
    access, waiting = read_access(settings, secrets_beside), list(topics)
    round_trip, security, refused = 0.0, "", list[str]()
    while True:
        connection = Connection(access, client_id, clock, will=None)
        begin = clock.monotonic()
        try:
            connection.open(settings.connect_timeout)
            round_trip, security = clock.monotonic() - begin, connection.security()
            tried, waiting = waiting[: connection.in_flight], waiting[connection.in_flight :]
            answer = connection.refused(tried, settings.connect_timeout)
        except BrokerError as error:
            return Probe(False, str(error), clock.monotonic() - begin)
        finally:
            connection.close()
        if answer is None:
            return Probe(True, "", round_trip, security)
        refused += answer
        if not waiting:
            return Probe(True, "", round_trip, security, tuple(refused))
