"""Files that are written whole or not at all, files that no other user may read, and reads that end.

After a crash there is the old file or the new one. Permissions are set whatever the umask is.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

PRIVATE = 0o600
"""Permissions of a file that only its owner may read."""

PIPE_PATIENCE = 3.0
"""Seconds in which all of a pipe must have been written: the start waits for it."""

_CHUNK = 1 << 20


def read_bounded(
    path: Path, most: int = sys.maxsize, opened: Callable[[IO[bytes]], object] = lambda _: None
) -> bytes:
    """The first `most` bytes of a file, or of a pipe, whose writer may be silent for ever.

    opened: is shown the open file before it is read. Raises OSError, after `PIPE_PATIENCE` seconds as well.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        opened(file)
        return b"".join(_chunks(descriptor, most, time.monotonic() + PIPE_PATIENCE))


def _chunks(descriptor: int, most: int, until: float) -> Iterator[bytes]:
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while most:
        if not ready.poll(1000 * max(0.0, until - time.monotonic())):
            why = f"it is a pipe or a device that did not give all within {PIPE_PATIENCE:g} s"
            raise TimeoutError(errno.ETIMEDOUT, f"{why}; allowed: a file")
        chunk = os.read(descriptor, min(most, _CHUNK))
        if not chunk:
            return
        most -= len(chunk)
        yield chunk


def is_waited_for(path: Path) -> bool:
    """Whether to read it may never end: a pipe without a writer, a terminal; not a link to the null device,
    by which systemd's users turn a file off.
    """
    with suppress(OSError):  # it is reported when the file is opened
        mode = path.stat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or path.samefile(os.devnull))
    return False


def write_atomically(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Replace `path` with a file that holds `content` (text as UTF-8), on the disk when this returns.

    mode: the permissions of the new file, whatever the umask. Raises OSError as `replacing` does.
    """
    with replacing(path, mode=mode) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """An empty file in the folder of `path`, for a library to write; it replaces `path` when the block ends.

    The draft has the suffixes of `path`, and only its owner may read it until it has `mode`. If the block
    raises, the draft is deleted and `path` stays as it was. Several processes may write one path at once: the
    last one wins. Raises OSError where the disk refuses. The caller turns that into a ConfigurationError
    (the user named the path) or an OutsideError (the program chose it).
    """
    suffix = "".join(path.suffixes)  # Keras refuses weights in a file that does not end in .weights.h5
    stem = path.name.removesuffix(suffix)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{stem}-", suffix=suffix)
    os.close(descriptor)
    draft = Path(name)
    with ExitStack() as undo:
        undo.callback(draft.unlink, missing_ok=True)
        yield draft
        draft.chmod(mode)
        _sync(draft)
        draft.replace(path)
        undo.pop_all()
    _sync_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Make a folder, and its parents, that only its owner may enter; an existing folder is not changed.

    A folder that a person made may be shared with other programs; only what we write in it is private.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner may read, or take an existing file's permissions for others.

    An existing file is not opened: closing it would release this process's SQLite locks on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE))
    except FileExistsError:
        make_private(path)


def make_private(path: Path) -> None:
    """Take the permissions of all others from a regular file; do nothing if there is no such file."""
    if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o077:
        path.chmod(PRIVATE)


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, except on file systems that cannot sync a folder (CIFS answers EINVAL)."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
