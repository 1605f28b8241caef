"""The three kinds of errors: the user's configuration, the outside world, and bugs.

A bug is any other exception. It ends the process, and systemd restarts it.
"""

from __future__ import annotations


class InstoreError(Exception):
    """Base of the errors that are not bugs. Its message is written for a person."""


class ConfigurationError(InstoreError):
    """An error that the user must correct: a setting, a file they named, a bundle. Exit status 2."""


class OutsideError(InstoreError):
    """A fault outside the program (camera, broker, disk): retried, counted and visible."""


class SourceError(OutsideError):
    """A camera or a recording that cannot be opened, or that stopped giving frames."""


class BrokerError(OutsideError):
    """A broker that cannot be reached or that refuses the connection."""


def why_no_name(path: object, error: UnicodeEncodeError) -> str:
    """Why no file can have this name: the locale's encoding of file names lacks a letter of it."""
    return (
        f"{path}: cannot be a file name where the locale makes Python use {error.encoding}; "
        "set the environment variable PYTHONUTF8=1"
    )
