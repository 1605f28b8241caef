"""The verdicts on the outbox and the port, where a daemon runs and where none does."""

from __future__ import annotations

import socket
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

from edge import check
from edge.check import Verdict
from edge.clock import SystemClock
from edge.config import Settings, load_settings
from edge.health import HttpServer
from edge.outbox import Outbox


def configured(**tables: object) -> Settings:
    return load_settings(None, [], {"cameras": [{"name": "door", "source": "0"}], **tables})


def outbox_verdict(folder: Path) -> Verdict:
    settings = configured(outbox={"directory": "state"})
    return check._try("outbox", lambda: check._outbox(settings, folder, SystemClock()))


def port_verdict(port: int, host: str = "127.0.0.1") -> Verdict:
    settings = configured(metrics={"host": host, "port": port})
    return check._try("metrics", lambda: check._port(settings))


def open_outbox(folder: Path) -> Outbox:
    return Outbox(folder / "state" / "outbox.db", 100, 100_000)


def test_an_outbox_to_be_is_not_made(tmp_path: Path) -> None:
    verdict = outbox_verdict(tmp_path)
    assert verdict.ok
    assert "GiB free" in verdict.detail
    assert list((tmp_path / "state").iterdir()) == []


def test_an_outbox_is_opened_and_let_go(tmp_path: Path) -> None:
    with closing(open_outbox(tmp_path)) as outbox:
        outbox.put("door", "w", lambda sequence: b"{}")
    verdict = outbox_verdict(tmp_path)
    assert verdict.ok
    assert "outbox.db: 1 windows wait, " in verdict.detail
    open_outbox(tmp_path).close()


def test_a_damaged_outbox_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "outbox.db").write_bytes(b"no database" * 1000)
    verdict = outbox_verdict(tmp_path)
    assert not verdict.ok
    assert "outbox.db: is not an SQLite database" in verdict.detail


def test_the_outbox_of_a_running_daemon_is_as_it_should_be(tmp_path: Path) -> None:
    with closing(open_outbox(tmp_path)):
        verdict = outbox_verdict(tmp_path)
    assert verdict.ok
    assert "the daemon has it" in verdict.detail


def test_a_free_port_is_told() -> None:
    assert port_verdict(0) == Verdict("metrics", True, "http://127.0.0.1:0/metrics is free to serve on")


def test_the_port_of_a_running_daemon_is_as_it_should_be() -> None:
    server = HttpServer("127.0.0.1", 0, {"/healthz": lambda: (HTTPStatus.SERVICE_UNAVAILABLE, "a/b", b"")})
    server.start()
    verdict = port_verdict(server.port)
    server.stop()
    assert verdict == Verdict("metrics", True, f"http://127.0.0.1:{server.port}/metrics: the daemon has it")


def test_a_port_that_another_program_has_is_told(monkeypatch) -> None:
    monkeypatch.setattr(check, "PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        verdict = port_verdict(port)
    assert not verdict.ok
    assert f"metrics.port = {port}: cannot listen there" in verdict.detail
