"""Brokers that do less than MQTT allows: no retained messages, QoS 0 only, small packets."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.config import MqttSettings
from edge.delivery import probe, read_access
from edge.delivery.connection import Connection, Limits
from edge.delivery.outbox import Outbox
from edge.ops.reasons import MqttFailure
from tests.fake_broker import SUCCESS, FakeBroker, Farewell, Heard
from tests.messages import Text
from tests.mosquitto import Mosquitto, Subscriber
from tests.publishing import TOPICS, Running, put

DOOR = TOPICS.counts("door", "all")
TOO_LARGE = 0x95
LARGE = "x" * 3000


def put_large(outbox: Outbox) -> None:
    outbox.commit([Text(DOOR, "large", LARGE)])


@pytest.mark.parametrize(
    ("limit", "loss"),
    [("retain_available false", "it retains no messages"), ("max_qos 0", "it takes QoS 0 only")],
)
def test_a_limited_broker_gets_everything_and_is_named_once(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, limit: str, loss: str
) -> None:
    sent = put(outbox, "door", 1, 3, retain=True)
    with (
        Mosquitto(tmp_path / "broker", extra=[limit]) as broker,
        Subscriber(broker, DOOR, TOPICS.box_status) as subscriber,
        Running(broker, outbox, tmp_path) as running,
    ):
        assert subscriber.wait_for_topic(DOOR, 3) == sent
        running.wait_for(lambda _: outbox.depth == 0)
        assert running.stop() == 0
        subscriber.wait_for_topic(TOPICS.box_status, 2)
    assert running.failures == []
    assert running.connected == [True, False]
    assert caplog.text.count(loss) == 1


def test_a_broker_that_retains_nothing_is_sent_no_empty_messages(tmp_path: Path, outbox: Outbox) -> None:
    """They clear a topic elsewhere; here they would reach those who listen."""
    outbox.commit(retained={TOPICS.latest("gone", "all"): b""})
    outbox.remember(TOPICS.camera_status("gone"))
    with (
        Mosquitto(tmp_path / "broker", extra=["retain_available false"]) as broker,
        Subscriber(broker, "#") as subscriber,
        Running(broker, outbox, tmp_path) as running,
    ):
        subscriber.wait_for_topic(TOPICS.box_status)
        put(outbox, "door", 1, 1)
        subscriber.wait_for_topic(DOOR)
        assert running.stop() == 0
    assert all(message.payload for message in subscriber.messages)


def test_a_broker_that_refuses_the_will_for_its_size_is_used_without(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    sent = put(outbox, "door", 1, 1)
    with (
        Mosquitto(tmp_path / "broker", extra=["message_size_limit 60"]) as broker,
        Subscriber(broker, DOOR) as subscriber,
        Running(broker, outbox, tmp_path) as running,
    ):
        assert subscriber.wait_for_topic(DOOR) == sent
        running.wait_for(lambda _: outbox.depth == 0)
        assert running.stop() == 0
    assert running.connected == [True, False]
    assert "it refuses the Last Will" in caplog.text


@pytest.mark.parametrize("limit", ["max_packet_size 1000", "message_size_limit 1000"])
def test_a_message_that_is_too_large_is_named_and_delays_no_other(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, limit: str
) -> None:
    """mosquitto announces the first limit; beyond the second it answers with reason 149."""
    sent = put(outbox, "door", 1, 2)
    put_large(outbox)
    sent += put(outbox, "door", 3, 4)
    with (
        Mosquitto(tmp_path / "broker", extra=[limit]) as broker,
        Subscriber(broker, DOOR) as subscriber,
        Running(broker, outbox, tmp_path, drain_timeout=1.0) as running,
    ):
        assert subscriber.wait_for_topic(DOOR, 4) == sent
        running.wait_for(lambda r: len(r.failures) == 1)
        sent += put(outbox, "door", 5, 5)
        assert subscriber.wait_for_topic(DOOR, 5) == sent
        running.wait_for(lambda _: outbox.depth == 1)
        running.clock.skip(100.0)  # the drain has nothing to wait for
    assert running.failures == [MqttFailure.TOO_LARGE]
    assert running.connected == [True, False]
    assert f"to {DOOR} is too large for the broker and is not sent" in caplog.text
    assert "another client" not in caplog.text


def test_a_broker_that_hangs_up_on_a_large_message_shows_its_limit_by_that(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It announces no limit, and ends each connection with reason 149."""

    def strict(heard: Heard) -> int:
        if len(heard.payload) > 1000:
            raise Farewell(TOO_LARGE)
        return SUCCESS

    put_large(outbox)
    sent = put(outbox, "door", 1, 3)
    with FakeBroker(strict) as broker, Running(broker, outbox, tmp_path) as running:
        running.wait_for(lambda _: outbox.depth == 1)
        assert broker.payloads(DOOR, 2) == sent
        broker.script = lambda _: SUCCESS
        broker.hang_up()  # its limit may be another when it comes back
        running.wait_for(lambda _: outbox.depth == 0)
        assert running.stop() == 0
    assert running.failures == [MqttFailure.TOO_LARGE] * 2 + [MqttFailure.LOST]
    assert "a packet is too large" in caplog.text
    assert "another client" not in caplog.text


def test_the_limit_of_one_broker_is_not_that_of_another(tmp_path: Path, outbox: Outbox) -> None:
    """The first ends each connection for a large message, and the one of `mqtt.failover` takes it."""

    def strict(_: Heard) -> int:
        raise Farewell(TOO_LARGE)

    put_large(outbox)
    with FakeBroker(strict) as first, FakeBroker() as second:
        further = [f"mqtt://{second.host}:{second.port}"]
        with Running(first, outbox, tmp_path, failover=further) as running:
            running.wait_for(lambda _: outbox.depth == 0)
            assert running.stop() == 0
    assert second.payloads(DOOR) == [LARGE.encode()]
    assert running.failures == [MqttFailure.TOO_LARGE]


def test_under_mqtt_3_1_1_the_suspicion_names_messages_as_well(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Such a broker can only close the connection."""
    put_large(outbox)
    with (
        Mosquitto(tmp_path / "broker", extra=["max_packet_size 1000"]) as broker,
        Running(broker, outbox, tmp_path, protocol="3.1.1", drain_timeout=0.1) as running,
    ):
        running.wait_for(lambda r: len(r.failures) >= 3)
        running.wait_for(lambda _: "MQTT 5 would report it" in caplog.text)
    assert "is another client using the client id" in caplog.text


@pytest.mark.parametrize(("protocol", "overhead"), [("5", 1), ("3.1.1", 0)])
def test_the_size_of_a_packet_is_known_before_it_is_sent(
    tmp_path: Path, outbox: Outbox, protocol: str, overhead: int
) -> None:
    """A payload that just fits is taken, one with a byte more is left out."""
    with Mosquitto(tmp_path / "broker") as broker:
        settings = MqttSettings(host=broker.host, port=broker.port, protocol=protocol)  # type: ignore[arg-type]
        connection = Connection(read_access(settings, tmp_path), "size", SystemClock(), None)
        connection.open(5.0)
        for length in (0, 100, 127, 128, 20_000):
            connection.publish("a/b", b"x" * length, retain=False)
            packet = connection._client._out_packet
            assert not packet or len(packet[-1]["packet"]) == connection.packet_size("a/b", b"x" * length)
        connection.close()


def test_probe_reports_the_limits(tmp_path: Path) -> None:
    extra = ["retain_available false", "max_qos 0"]
    with Mosquitto(tmp_path / "broker", extra=extra) as broker:
        settings = MqttSettings(host=broker.host, port=broker.port)
        found = probe(
            settings,
            "check",
            clock=SystemClock(),
            secrets_beside=tmp_path,
            will=(TOPICS.box_status, b"offline"),
        )
    assert found.connected
    assert found.limits == Limits(qos=0, retain=False)


@pytest.mark.parametrize("limit", ["max_packet_size 1000", "message_size_limit 1000"])
def test_probe_reports_messages_that_are_too_large_and_publishes_nothing(tmp_path: Path, limit: str) -> None:
    with Mosquitto(tmp_path / "broker", extra=[limit]) as broker, Subscriber(broker, "#") as subscriber:
        settings = MqttSettings(host=broker.host, port=broker.port)
        sizes = {TOPICS.box_status: 0, TOPICS.box_today: 2000}
        found = probe(settings, "check", clock=SystemClock(), secrets_beside=tmp_path, sizes=sizes)
    assert found.too_large == (TOPICS.box_today,)
    assert found.refused == ()
    assert subscriber.messages == []
