"""Files that are written whole or not at all: after a crash there is the old file or the new one."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Replace `path` with a file that holds `content` (text as UTF-8), on the disk when this returns.

    mode: the permissions of the new file, whatever the umask. Raises OSError as `replacing` does.
    """
    with replacing(path, mode=mode) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """An empty file in the folder of `path`, for a library to write; it replaces `path` when the block ends.

    The draft has the suffix of `path`, and only its owner may read it until it has `mode`. If the block
    raises, the draft is deleted and `path` stays as it was. Several processes may write one path at once: the
    last one wins. Raises OSError where the disk refuses. The caller turns that into a ConfigurationError
    (the user named the path) or an OutsideError (the program chose it).
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(mode)
        _sync(draft)
        draft.replace(path)
    except BaseException:  # also KeyboardInterrupt and SystemExit: no draft stays behind
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


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
