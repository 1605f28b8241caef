"""Files are replaced whole, with their permissions, and nothing is left behind after a fault."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge.files import (
    make_private,
    make_private_file,
    make_private_folder,
    replacing,
    write_atomically,
)


@pytest.mark.parametrize(
    ("content", "bytes_"), [(b"\x00\xff", b"\x00\xff"), ("Zürich\n", "Zürich\n".encode())]
)
def test_a_file_is_written_with_its_content_alone_in_its_folder(tmp_path: Path, content, bytes_: bytes):
    path = tmp_path / "a.json"
    path.write_text("an older and longer content")
    write_atomically(path, content)
    assert path.read_bytes() == bytes_
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_permissions_are_the_asked_ones_whatever_the_umask(tmp_path: Path, mode: int):
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "a", b"", mode=mode)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("suffix", [".npy", ".weights.h5", ""])
def test_a_draft_is_private_and_keeps_every_suffix(tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    with replacing(path) as draft:
        assert draft.parent == tmp_path
        assert "".join(draft.suffixes) == suffix
        assert draft.stat().st_mode & 0o777 == 0o600
        assert not path.exists()


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_fault_in_the_block_leaves_the_old_file_and_no_draft(tmp_path: Path, fault: type[BaseException]):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(fault), replacing(path) as draft:
        draft.write_text("half")
        raise fault
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_refuses_to_sync_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a"
    path.write_text("old")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_synced_in_the_order_that_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The content before the name: else a crash may leave the new name with an empty file."""
    path, synced = tmp_path / "a", []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_ino, path.exists()))
    )
    write_atomically(path, b"new")
    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_synced_is_no_fault_but_a_broken_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, passes: bool
):
    path, fsync = tmp_path / "a", os.fsync

    def only_files(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == tmp_path.stat().st_ino:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    if passes:
        write_atomically(path, b"new")
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_that_does_not_exist_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "a", b"")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_private_is_so_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_private_folder(tmp_path / "state")
        make_private_file(tmp_path / "state" / "file")
    finally:
        os.umask(before)

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "file").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    make_private_folder(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_there_keeps_its_content_and_nothing_else_is_touched(tmp_path: Path) -> None:
    file, link, other = tmp_path / "file", tmp_path / "link", tmp_path / "other"
    for path in (file, other):
        path.write_text("content")
        path.chmod(0o644)
    link.symlink_to(other)

    for path in (file, link):
        make_private_file(path)
    make_private(tmp_path / "nothing")

    assert (file.read_text(), file.stat().st_mode & 0o777) == ("content", 0o600)
    assert other.stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "nothing").exists()
