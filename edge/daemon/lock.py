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
"""Faults that may pass: a file system turns read-only after an error, and is full until files are deleted."""


class StateLock:
    """An exclusive lock on a state directory, held until `release` or the end of the process.

    Raises OutsideError where another process holds it (it may be about to end) or the disk fails, and
    ConfigurationError where this user may not use the directory. The empty lock file stays.
    """

    def __init__(self, directory: Path) -> None:
        try:
            files.make_private_folder(directory)
            # Without O_NONBLOCK a pipe of that name would be waited for without end.
            flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._file = os.open(directory / NAME, flags, files.PRIVATE)
        except OSError as error:
            message = f"{directory}: cannot create or write to it: {error.strerror}"
            if error.errno in _PASSING:
                raise OutsideError(message) from None
            raise ConfigurationError(
                f"{message}; set outbox.directory to a directory that this user may write to"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise OutsideError(f"{directory}: {_reason(error)}") from None

    def release(self) -> None:
        """Let another process use the directory."""
        os.close(self._file)


def _reason(error: OSError) -> str:
    if error.errno == errno.EWOULDBLOCK:
        return (
            "another instance of this daemon is using it; stop that instance, or set another "
            "outbox.directory for this one"
        )
    return f"cannot lock it: {error.strerror}"
