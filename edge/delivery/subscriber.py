"""Receives messages from the broker, for the demo."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.clock import Backoff, Clock
from edge.config import MqttSettings
from edge.delivery.access import read_access
from edge.delivery.connection import POLL, Connection
from edge.errors import BrokerError


class Subscriber:
    """Receives some topics, in a thread of its own (`run`), and reconnects until it is stopped.

    on_payload is called in that thread with every message, which may come more than once.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Sequence[str],
        client_id: str,
        *,
        on_payload: Callable[[bytes], None],
        clock: Clock,
        rng: random.Random,
        secrets_beside: Path,
    ) -> None:
        self._access = read_access(settings, secrets_beside)
        self._topics = tuple(topics)
        self._client_id = client_id
        self._on_payload = on_payload
        self._clock = clock
        self._backoff = Backoff(rng)
        self.subscribed = threading.Event()
        """Set when the broker has confirmed the subscriptions: later messages are received."""
        self.fault = ""
        """Why the broker cannot be heard; empty while it can, and before the first attempt has failed."""

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set."""
        while not stop.is_set():
            try:
                self._listen(stop)
            except BrokerError as error:
                self.fault = str(error)
                self._clock.wait(stop, self._backoff.next())

    def _subscribed(self) -> None:
        self.fault = ""
        self.subscribed.set()

    def _listen(self, stop: threading.Event) -> None:
        connection = Connection(self._access, self._client_id, self._clock, will=None)
        try:
            connection.open(self._access.settings.connect_timeout)
            topics = [connection.naming.at_broker(topic) for topic in self._topics]
            connection.subscribe(topics, self._on_payload, self._subscribed)
            self._backoff.reset()
            while not stop.is_set():
                connection.poll(POLL)
        finally:
            connection.close()
