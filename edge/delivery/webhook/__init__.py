"""Messages go from the outbox to a web server by signed POST requests, with the promise of the broker."""

from edge.delivery.webhook.request import Hook, reach, read_hook
from edge.delivery.webhook.sender import WebhookSender

__all__ = ["Hook", "WebhookSender", "reach", "read_hook"]
