"""A configured file that is a pipe without an end is named; nothing waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import files
from edge.bundle import load_bundle
from edge.config import MqttSettings, WebSettings, read_secret
from edge.config.tables.toml import read_toml
from edge.delivery.access import read_access
from edge.errors import ConfigurationError
from edge.web.server import read_web

BOUNDED = r"cannot be read.*it is a pipe or a device that did not give all within 0\.01 s; allowed: a file"


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIPE_PATIENCE", 0.01)


@pytest.fixture(params=[None, b"", b"[mqtt]\n"], ids=["no writer", "a silent one", "one that stops"])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A named pipe, and a writer who holds it open after these bytes."""
    path = tmp_path / "manifest.json"
    os.mkfifo(path)
    if request.param is None:
        yield path
        return
    writing = os.open(path, os.O_RDWR)
    os.write(writing, request.param)
    yield path
    os.close(writing)


def test_the_configuration_is_named(pipe: Path):
    with pytest.raises(ConfigurationError, match=rf"manifest\.json: {BOUNDED}"):
        read_toml(pipe)


def test_a_password_is_named(pipe: Path):
    with pytest.raises(ConfigurationError, match=rf"mqtt\.password_file = .*manifest\.json {BOUNDED}"):
        read_secret("mqtt.password_file", pipe.name, pipe.parent)


def test_a_part_of_a_bundle_is_named(pipe: Path):
    with pytest.raises(ConfigurationError, match=rf"manifest\.json: {BOUNDED}"):
        load_bundle(pipe.parent)


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
def test_a_file_that_openssl_opens_is_named(pipe: Path, key: str):
    other = pipe.parent / "file"
    other.touch()
    names = dict.fromkeys(("ca_file", "cert_file", "key_file"), str(other))
    if key != "ca_file":
        del names["ca_file"]
    settings = MqttSettings.model_validate({"url": "mqtts://a", **names, key: str(pipe)})
    with pytest.raises(ConfigurationError, match=rf"mqtt\.{key} = .*is a pipe or a device; allowed: a file"):
        read_access(settings, pipe.parent)


def test_the_certificate_of_the_page_is_named(pipe: Path):
    (pipe.parent / "password").write_text("long enough a password")
    settings = WebSettings(password_file="password", cert_file=pipe.name, key_file="password")
    with pytest.raises(ConfigurationError, match=r"web\.cert_file = 'manifest\.json'.* no file"):
        read_web(settings, pipe.parent)


def test_a_pipe_whose_writer_ends_is_read_whole(tmp_path: Path):
    reading, writing = os.pipe()
    os.write(writing, b"x" * 60_000)
    os.close(writing)
    assert files.read_bounded(Path(f"/dev/fd/{reading}")) == b"x" * 60_000
    os.close(reading)


@pytest.mark.parametrize(("most", "read"), [(5, 5), (3 << 20, 3 << 20), (1 << 30, (3 << 20) + 1)])
def test_of_a_file_no_more_is_read_than_asked_for(tmp_path: Path, most: int, read: int):
    (tmp_path / "file").write_bytes(bytes((3 << 20) + 1))
    assert len(files.read_bounded(tmp_path / "file", most)) == read
