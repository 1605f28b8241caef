"""Compiled engines on the disk: found by everything that they depend on, and loaded only if complete.

    fp16-sm86-tensorrt_rtx-3f0c....engine     one line of JSON (a `_Header`), then the engine's bytes

A file is written under another name and renamed, so a crash leaves the old one or the new one. A file that is
truncated, changed, or of another key than its name says is never loaded: it is removed and built again. The
digest protects against damage, not against an attacker: who may write here may also change the program.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge import files
from edge.bundle import sha256_of
from edge.config import Precision
from edge.errors import OutsideError
from edge.ops.reasons import EngineFault

log = logging.getLogger(__name__)

RECIPE = 1
"""Increased with every change to how engines are built: older ones are then built again."""

KEPT = 24
"""Files of one kind that are kept, the newest ones: drivers and bundles change over time."""

ANY_DRIVER = "any"
"""The driver of an engine that any driver can run (TensorRT for RTX compiles the rest on loading)."""

_MOST_HEADER = 4096
"""Bytes in which a header must end."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine depends on.

    bundle, graph: SHA-256 of the bundle's model and of the variant that is compiled. flavour: `tensorrt` or
    `tensorrt_rtx`; version: its own. capability: such as `sm86`. driver: CUDA version that it supports, or
    `ANY_DRIVER`. size: side of a crop in px. max_batch: the profile is 1..max_batch crops.
    """

    bundle: str
    graph: str
    flavour: str
    version: str
    capability: str
    driver: str
    precision: Precision
    size: int
    max_batch: int
    recipe: int = RECIPE

    @property
    def digest(self) -> str:
        """Hash of all fields, 16 hexadecimal digits."""
        return sha256_of(repr(sorted(asdict(self).items())).encode())[:16]

    @property
    def stem(self) -> str:
        """The name of its files without the suffix: readable fields, then the digest."""
        return f"{self.precision}-{self.capability}-{self.flavour}-{self.digest}"


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_: Annotated[Literal["instore.engine/1"], Field(alias="schema")] = "instore.engine/1"
    key: EngineKey
    bytes: int
    sha256: str


class _RefusedError(Exception):
    """A file that must not be loaded; the message is the reason."""

    def __init__(self, fault: EngineFault, what: str) -> None:
        super().__init__(what)
        self.fault = fault


class EngineStore:
    """Engines in `folder`, which is made when needed, and engines delivered in the folders of `shipped`.

    The folders of `shipped` are only read.
    """

    def __init__(
        self,
        folder: Path,
        shipped: Sequence[Path] = (),
        *,
        kept: int | None = KEPT,
        for_others: bool = False,
        on_refused: Callable[[EngineFault], None] = lambda fault: None,
    ) -> None:
        """kept: files of one kind that are kept; None: all. for_others: other users may read the files, for
        engines that are built for a bundle. on_refused: called for every file that was found and not loaded.
        """
        self.folder = folder
        self._kept = kept
        self._for_others = for_others
        self._shipped = tuple(shipped)
        self._on_refused = on_refused

    def path(self, key: EngineKey, kind: str = "engine") -> Path:
        """The file that `save` writes for this key."""
        return self.folder / f"{key.stem}.{kind}"

    def load(self, key: EngineKey, kind: str = "engine") -> bytes | None:
        """What was saved for exactly this key; None where no file is there or it is not complete."""
        for folder in (self.folder, *self._shipped):
            path = folder / f"{key.stem}.{kind}"
            try:
                return _unpacked(path.read_bytes(), key)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("%s: cannot be read (%s)", path, error.strerror)
            except _RefusedError as refused:
                log.warning("%s: is %s (%s); it is not loaded", path, refused.fault, refused)
                self._on_refused(refused.fault)
                if folder == self.folder:
                    _remove(path)
        return None

    def save(self, key: EngineKey, content: bytes, kind: str = "engine") -> Path:
        """Write the file atomically, then remove the oldest ones. Raises OutsideError if the disk fails."""
        path = self.path(key, kind)
        header = _Header(key=key, bytes=len(content), sha256=sha256_of(content))
        try:
            self._make_folder()
            whole = header.model_dump_json(by_alias=True).encode() + b"\n" + content
            files.write_atomically(path, whole, mode=0o644 if self._for_others else files.PRIVATE)
            self._tidy(kind)
        except OSError as error:
            raise OutsideError(f"{path}: cannot be written: {error.strerror}") from error
        return path

    def discard(self, key: EngineKey, kind: str = "engine") -> None:
        """Remove what was saved for this key."""
        _remove(self.path(key, kind))

    def _make_folder(self) -> None:
        if self._for_others:
            self.folder.mkdir(parents=True, exist_ok=True)
        else:
            files.make_private_folder(self.folder)

    def _tidy(self, kind: str) -> None:
        if self._kept is None:
            return
        for path in sorted(self.folder.glob(f"*.{kind}"), key=_written_at)[: -self._kept]:
            _remove(path)


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # another process removes old files at the same time
        return 0


def _remove(path: Path) -> None:
    """Remove a file if the system allows it: one that stays is refused again, or replaced."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be removed (%s)", path, error.strerror)


def _unpacked(content: bytes, key: EngineKey) -> bytes:
    """The bytes after the header, if complete, unchanged and of this key; else raises _RefusedError."""
    end = content.find(b"\n", 0, _MOST_HEADER)
    if end < 0:
        raise _RefusedError(
            EngineFault.TRUNCATED if len(content) < _MOST_HEADER else EngineFault.FOREIGN, "it has no header"
        )
    try:
        header = _Header.model_validate_json(content[:end])
    except ValidationError:
        raise _RefusedError(EngineFault.FOREIGN, "its header is not one of this program") from None
    if header.key != key:
        raise _RefusedError(EngineFault.FOREIGN, "its header does not match its name")
    body = content[end + 1 :]
    if len(body) != header.bytes:
        raise _RefusedError(EngineFault.TRUNCATED, f"it holds {len(body)} bytes of {header.bytes}")
    if sha256_of(body) != header.sha256:
        raise _RefusedError(EngineFault.CORRUPT, "its SHA-256 is not the one in its header")
    return body
