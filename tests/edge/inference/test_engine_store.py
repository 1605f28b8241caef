from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import OutsideError
from edge.inference.engine_store import KEPT, EngineKey, EngineStore

KEY = EngineKey(
    bundle="b" * 64, graph="a" * 64, flavour="tensorrt_rtx", version="1.7.1.116", capability="sm86",
    driver="any", precision="fp16", size=160, max_batch=8,
)  # fmt: skip
PLAN = bytes(range(256)) * 4

OTHERS = {
    "bundle": "c" * 64, "graph": "c" * 64, "flavour": "tensorrt", "version": "1.7.1.117",
    "capability": "sm89", "driver": "13.0", "precision": "int8", "size": 112, "max_batch": 16, "recipe": 99,
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def test_gives_back_what_was_saved(store: EngineStore):
    assert store.load(KEY) is None
    path = store.save(KEY, PLAN)
    assert store.load(KEY) == PLAN
    assert path.name == f"fp16-sm86-tensorrt_rtx-{KEY.digest}.engine"
    assert list(path.parent.iterdir()) == [path]


def test_only_this_user_reads_them_unless_they_are_made_for_a_bundle(store: EngineStore, tmp_path: Path):
    own = store.save(KEY, PLAN)
    shipped = EngineStore(tmp_path / "bundle", for_others=True).save(KEY, PLAN)

    assert (own.parent.stat().st_mode & 0o777, own.stat().st_mode & 0o777) == (0o700, 0o600)
    assert shipped.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("field", "value"), OTHERS.items())
def test_everything_that_it_depends_on_is_in_the_key(store: EngineStore, field: str, value: Any):
    store.save(KEY, PLAN)
    assert store.load(replace(KEY, **{field: value})) is None
    assert store.load(KEY) == PLAN


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_that_was_cut_or_changed_anywhere_is_never_loaded(tmp_path: Path, data: st.DataObject):
    faults: list[str] = []
    store = EngineStore(tmp_path, on_refused=faults.append)
    path = store.save(KEY, PLAN)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
    else:
        path.write_bytes(content[:place])
    assert store.load(KEY) is None
    assert len(faults) == 1
    assert not path.exists()


def test_each_fault_has_its_name(tmp_path: Path):
    faults: list[str] = []
    store = EngineStore(tmp_path, on_refused=faults.append)
    path = store.save(KEY, PLAN)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:20], whole[:-1] + b"?", b"{}\n" + PLAN, b"x" * 5000, b""):
        path.write_bytes(content)
        assert store.load(KEY) is None
    assert faults == ["truncated", "truncated", "corrupt", "foreign", "foreign", "truncated"]


def test_an_engine_under_the_name_of_another_is_not_loaded(store: EngineStore):
    other = replace(KEY, capability="sm89")
    store.save(other, PLAN).rename(store.path(KEY))
    assert store.load(KEY) is None


def test_shipped_engines_are_found_and_left_alone(tmp_path: Path):
    shipped = EngineStore(tmp_path / "shipped")
    path = shipped.save(KEY, PLAN)
    store = EngineStore(tmp_path / "own", [tmp_path / "shipped"])
    assert store.load(KEY) == PLAN
    path.write_bytes(path.read_bytes()[:-1])
    assert store.load(KEY) is None
    assert path.exists()


def test_a_crash_while_writing_leaves_what_was_there(store: EngineStore, monkeypatch: pytest.MonkeyPatch):
    path = store.save(KEY, PLAN)

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        store.save(KEY, b"new")
    assert store.load(KEY) == PLAN
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_file_that_cannot_be_removed_is_passed_over(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """In a folder that somebody else owns, or on a disk that has gone read-only."""
    path = store.save(KEY, PLAN)
    path.write_bytes(PLAN)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert store.load(KEY) is None
    store.discard(KEY)
    assert caplog.text.count(f"{path}: cannot be removed (Read-only file system)") == 2


def test_a_file_that_another_process_removed_meanwhile_costs_nothing(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
):
    other = store.save(replace(KEY, version="0"), PLAN)
    stat = Path.stat

    def gone(path: Path, **options: bool) -> os.stat_result:
        if path == other:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", gone)
    assert store.save(KEY, PLAN) == store.path(KEY)
    assert store.load(KEY) == PLAN


def test_a_folder_that_cannot_be_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError, match=r"file/engines/fp16.*cannot be written: Not a directory"):
        EngineStore(tmp_path / "file" / "engines").save(KEY, PLAN)


def test_old_engines_go(store: EngineStore):
    for number in range(KEPT + 3):
        path = store.save(replace(KEY, version=str(number)), PLAN)
        os.utime(path, (number, number))
    assert store.load(replace(KEY, version="1")) is None
    assert store.load(replace(KEY, version=str(KEPT + 2))) == PLAN
    assert len(list(store.folder.iterdir())) == KEPT


def test_the_folder_of_a_chain_keeps_all(tmp_path: Path):
    store = EngineStore(tmp_path, kept=None)
    for number in range(KEPT + 3):
        store.save(replace(KEY, version=str(number)), PLAN)
    assert len(list(tmp_path.iterdir())) == KEPT + 3
