"""MQTT: messages go from the outbox to the broker, and leave the outbox when it has acknowledged them."""

from edge.delivery.access import BrokerAccess, read_access
from edge.delivery.probe import Probe, probe
from edge.delivery.publisher import Publisher, last_will
from edge.delivery.session import GOODBYE
from edge.delivery.subscriber import Subscriber
from edge.delivery.topics import Naming, Topics

__all__ = [
    "GOODBYE",
    "BrokerAccess",
    "Naming",
    "Probe",
    "Publisher",
    "Subscriber",
    "Topics",
    "last_will",
    "probe",
    "read_access",
]
