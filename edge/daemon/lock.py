"""One daemon for each state directory: two would count the same visitors twice under the same names."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from edge import files
from edge.errors import ConfigurationError, OutsideError

NAME = "lock"
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What may pass: a file system turns read-only after an error, and is full until something goes."""


class StateLock:
    """Held from its making until `release` or the end of the process, however that comes.

    Raises OutsideError where another process holds it (it may be about to end) or the disk is at fault, and
    ConfigurationError where this user cannot have such a directory. The file stays: it says nothing.
    """

    def __init__(self, directory: Path) -> None:
        try:
            files.make_private_folder(directory)
            self._file = os.open(directory / NAME, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE)
        except OSError as error:
            message = f"{directory}: cannot be made or written to: {error.strerror}"
            if error.errno in _PASSING:
                raise OutsideError(message) from None
            raise ConfigurationError(
                f"{message}; set outbox.directory to a folder that this user may write to"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise OutsideError(f"{directory}: {_reason(error)}") from None

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._file)


def _reason(error: OSError) -> str:
    if error.errno == errno.EWOULDBLOCK:
        return (
            "another instance of this daemon runs on it; stop that one, or give this one an "
            "outbox.directory of its own"
        )
    return f"cannot be locked: {error.strerror}"
