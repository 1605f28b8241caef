"""To whom the files of `conf.d` may belong: one of them can send the broker's password elsewhere.

`--config /tmp/new.toml` would otherwise take `/tmp/conf.d`, which any user of the machine can make.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge.config.tables.toml import parsed, read_text
from edge.errors import ConfigurationError
from edge.files import is_waited_for

DRAWN = {"name", "lines", "zones"}
"""The keys of a camera that a file of another user may set, such as the page's own file."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Users whose files are read: root, the owner of `config.toml`, and the user of this process."""

    users: frozenset[int]

    @classmethod
    def of(cls, config: Path) -> Owners:
        """Those for a configuration file that can be read."""
        return cls(frozenset({0, config.stat().st_uid, os.geteuid()}))

    def fault(self, status: os.stat_result, *, read_only: bool) -> str:
        """Why a file or folder is not read; empty where it is. read_only: its mount."""
        if status.st_uid not in self.users:
            return (
                f"belongs to the user with the id {status.st_uid}; "
                "allowed: root, the owner of config.toml, and the user of this process"
            )
        by_all = status.st_mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode)
        return "can be written by every user; allowed: mode o-w" if by_all and not read_only else ""

    def require_folder(self, folder: Path) -> None:
        """Raise ConfigurationError where others may add files. Raises OSError."""
        read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
        for status in (folder.lstat(), folder.stat()):
            if fault := self.fault(status, read_only=read_only):
                raise ConfigurationError(f"{folder}: {fault}")

    def read(self, path: Path) -> tuple[str, dict[str, Any]] | None:
        """The text and the tables of a file; None where it is gone. Raises ConfigurationError that names it.

        A link that one of the users made may lead to a file of another user, which may set `DRAWN` alone.
        """
        entry = _entry(path)
        if entry is None:
            return None
        linked = stat.S_ISLNK(entry.st_mode)
        if linked and (fault := self.fault(entry, read_only=False)):
            raise ConfigurationError(f"{path}: {fault}")
        if is_waited_for(path):
            raise ConfigurationError(f"{path}: is a pipe or a device; allowed: a file")
        faults: list[str] = []
        text = read_text(path, lambda file: faults.append(self._fault_of(file)))
        table = parsed(str(path), text)
        if faults[0] and not (linked and _is_drawn(table)):
            more = ", or a file with lines and zones of cameras alone" if linked else ""
            raise ConfigurationError(f"{path}: {faults[0]}{more}")
        return text, table

    def _fault_of(self, file: IO[bytes]) -> str:
        """Of the open file, in whose place no other one can be put any more."""
        read_only = bool(os.fstatvfs(file.fileno()).f_flag & os.ST_RDONLY)
        return self.fault(os.fstat(file.fileno()), read_only=read_only)


def _entry(path: Path) -> os.stat_result | None:
    """Of the file or link itself; None where it was removed after the folder was listed."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def _is_drawn(table: Mapping[str, Any]) -> bool:
    cameras = table.get("cameras", [])
    entries = cameras if isinstance(cameras, list) else [cameras]
    return set(table) <= {"cameras"} and all(isinstance(one, dict) and set(one) <= DRAWN for one in entries)
