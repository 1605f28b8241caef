"""The three kinds of trouble: the user's configuration, the outside world, and bugs.

A bug is any other exception. It ends the process, and systemd starts it again.
"""

from __future__ import annotations


class InstoreError(Exception):
    """Base of the errors that are not bugs. Its message is written for a person."""


class ConfigurationError(InstoreError):
    """The user's to mend: a setting, a file they named, a bundle. Exit status 2."""


class OutsideError(InstoreError):
    """A fault of the outside (camera, broker, disk): retried, counted and visible."""


class SourceError(OutsideError):
    """A camera or a clip that cannot be opened, or that stopped giving frames."""


class BrokerError(OutsideError):
    """A broker that cannot be reached or that refuses the connection."""
