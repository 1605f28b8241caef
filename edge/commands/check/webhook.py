"""Can the webhook's server be reached?"""

from __future__ import annotations

from pathlib import Path

from edge.clock import Clock
from edge.config import Settings
from edge.delivery.webhook import reach, read_hook
from edge.delivery.webhook.request import WebhookError
from edge.errors import OutsideError


def check_webhook(settings: Settings, folder: Path, clock: Clock) -> str:
    """Connect as the daemon does, and post nothing. Raises OutsideError and ConfigurationError."""
    hook = read_hook(settings.webhook, folder)
    try:
        return f"{hook.name}: {reach(hook, clock)}"
    except WebhookError as error:
        raise OutsideError(f"{hook.name}: {error}") from None
