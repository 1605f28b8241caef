"""What `check` reports of brokers that the daemon can use in part, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from edge.clock import SystemClock
from edge.commands.check.broker import check_broker
from edge.commands.check.verdict import Live, Status, Verdict, attempt
from edge.delivery import Probe
from edge.inference.backend import AgeBackend
from edge.release.sizes import largest
from tests.fakes import settings
from tests.gates import TOPICS
from tests.mosquitto import Mosquitto, Subscriber


def verdict(folder: Path, *limits: str) -> tuple[Verdict, Subscriber]:
    with (
        Mosquitto(folder / "broker", extra=limits) as broker,
        Subscriber(broker, "#", client_id="instore-store-box-ear") as subscriber,
    ):
        configured = settings(f"mqtt.host={broker.host}", f"mqtt.port={broker.port}")
        found = attempt("broker", lambda: check_broker(configured, folder, SystemClock()))
    return found, subscriber


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("retain_available false", "it retains no messages: no topic shows its newest message later"),
        ("max_qos 0", "it takes QoS 0 only: messages are lost when the connection breaks"),
        ("max_packet_size 4000", "it takes packets of at most 4000 bytes only"),
        ("message_size_limit 4000", "it takes smaller messages only"),
    ],
)
def test_what_a_broker_does_not_do_is_a_warning(tmp_path: Path, limit: str, words: str) -> None:
    found, subscriber = verdict(tmp_path, limit)
    assert found.status is Status.WARNING
    assert words in found.detail
    assert subscriber.messages == []


@pytest.mark.parametrize("limit", ["max_packet_size 600", "message_size_limit 600"])
def test_a_broker_that_takes_no_message_of_the_daemon_is_a_failure(tmp_path: Path, limit: str) -> None:
    found, subscriber = verdict(tmp_path, limit)
    assert found.status is Status.FAILED
    assert "raise the broker's limit" in found.detail
    assert subscriber.messages == []


def test_a_broker_without_limits_is_as_it_should_be(tmp_path: Path) -> None:
    """Its ACL of client ids admits the daemon and the check by one prefix."""
    found, subscriber = verdict(tmp_path, "clientid_prefixes instore-store-box")
    assert found.status is Status.OK, found.detail
    assert "on all its 10 topics" in found.detail
    assert subscriber.messages == []


@pytest.mark.parametrize(("connected", "status"), [(True, Status.OK), (False, Status.FAILED)])
def test_in_the_daemon_its_own_client_id_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connected: bool, status: Status
) -> None:
    """The broker would end the daemon's connection, and send its last will."""
    monkeypatch.setattr("edge.commands.check.broker.probe", lambda *_, **__: pytest.fail("it connects"))
    live = Live(cast("AgeBackend", None), connected)
    found = attempt(
        "broker",
        lambda: check_broker(settings("mqtt.client_id=edge-7"), tmp_path, SystemClock(), live=live),
    )
    assert found.status is status
    assert f"the daemon is {'' if connected else 'not '}connected" in found.detail


@pytest.mark.parametrize("live", [None, Live(cast("AgeBackend", None), is_connected=True)])
def test_in_the_daemon_a_trial_leaves_no_last_will(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: Live | None
) -> None:
    """A trial that breaks would say of the daemon, which runs, that it is offline."""
    wills: list[object] = []

    def trial(*_: object, will: object, **__: object) -> Probe:
        wills.append(will)
        return Probe(connected=True, reason="", round_trip=0.0, refused=())

    monkeypatch.setattr("edge.commands.check.broker.probe", trial)
    check_broker(settings(), tmp_path, SystemClock(), live=live)
    assert [will is None for will in wills] == [live is not None]


def test_more_brackets_make_larger_messages() -> None:
    few, many = (
        largest(settings(f"windows.brackets={b}"), TOPICS) for b in (["0-64", "65+"], ["0-9", "10-64", "65+"])
    )
    assert few.row < many.row < many.today
    assert few.today < many.today


def test_each_broker_is_tested_with_the_names_of_its_topics(tmp_path: Path) -> None:
    """A configured client id is used as it is: brokers may tie rights to it."""
    acl = "topic write devices/edge-7/counts/#\ntopic read #\n"
    with Mosquitto(tmp_path / "broker", acl=acl, extra=["clientid_prefixes edge-7"]) as broker:
        configured = settings(
            "mqtt.url=mqtt://127.0.0.1:1",
            f"mqtt.failover=['mqtt://127.0.0.1:{broker.port}']",
            "mqtt.client_id=edge-7",
            "mqtt.topic=devices/{client_id}/{message}/{source}/{zone}",
        )
        first, second = (
            attempt("broker", lambda number=number: check_broker(configured, tmp_path, SystemClock(), number))
            for number in (0, 1)
        )
    assert first.status is Status.FAILED
    assert "127.0.0.1:1: cannot be reached" in first.detail
    assert "refuses the topics devices/edge-7/status/box, " in second.detail
    assert "/counts/" not in second.detail


def test_a_path_that_may_be_a_token_is_not_shown(tmp_path: Path) -> None:
    configured = settings("mqtt.url=ws://127.0.0.1:1/hunter2")
    found = attempt("broker", lambda: check_broker(configured, tmp_path, SystemClock()))
    assert found.status is Status.FAILED
    assert found.detail.startswith("ws://127.0.0.1:1/***: ")
    assert "hunter2" not in found.detail
