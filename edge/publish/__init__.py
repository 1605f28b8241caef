"""MQTT: windows go from the outbox to the broker, and leave the outbox when it has acknowledged them."""

from edge.publish.connection import Access, Failure, Probe, access, probe
from edge.publish.publisher import Publisher
from edge.publish.session import GOODBYE
from edge.publish.subscriber import Subscriber
from edge.publish.topics import Topics

__all__ = ["GOODBYE", "Access", "Failure", "Probe", "Publisher", "Subscriber", "Topics", "access", "probe"]
