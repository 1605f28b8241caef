"""Files that are written whole or not at all, and files that no other user may read.

After a crash there is the old file or the new one. Permissions are set whatever the umask is.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PRIVATE = 0o600
"""Permissions of a file that only its owner may read."""


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
