"""Results written whole or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import ConfigurationError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A new folder that becomes `out` when the block ends well, and is deleted otherwise.

    Raises ConfigurationError when `out` exists or its parent cannot be written to, and when the disk is full.
    """
    if out.exists():
        raise ConfigurationError(f"{out}: exists already; name a new folder or remove it first")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise ConfigurationError(f"{out.parent}: cannot be written to ({error.strerror})") from error
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp makes it for the owner alone
        folder.rename(out)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ConfigurationError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
