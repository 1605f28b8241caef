"""InStore's edge daemon: anonymous age counts from store cameras over MQTT."""

__version__ = "0.1.0"
