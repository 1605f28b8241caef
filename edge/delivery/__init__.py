"""MQTT: windows go from the outbox to the broker, and leave the outbox when it has acknowledged them."""

from edge.delivery.connection import Access, Failure, Probe, access, probe
from edge.delivery.publisher import Publisher
from edge.delivery.session import GOODBYE
from edge.delivery.subscriber import Subscriber
from edge.delivery.topics import Topics

__all__ = ["GOODBYE", "Access", "Failure", "Probe", "Publisher", "Subscriber", "Topics", "access", "probe"]
