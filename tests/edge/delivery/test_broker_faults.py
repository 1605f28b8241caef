"""Real brokers and real TCP that fail in the ways of the field: every window arrives all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.clock import Backoff
from edge.delivery import BrokerAccess, read_access
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import ACKNOWLEDGE_WITHIN
from edge.ops.reasons import MqttFailure
from edge.types import CameraState
from tests.fake_broker import SUCCESS, FakeBroker, Heard
from tests.messages import Text
from tests.mosquitto import Mosquitto, Subscriber, make_certificates
from tests.patience import PATIENCE
from tests.proxy import Proxy
from tests.publishing import TOPICS, Running, put, status

DOOR = TOPICS.counts("door", "all")
QUOTA_EXCEEDED, RATE_EXCEEDED, UNKNOWN = 0x97, 0x9F, 0xEE
REASONS = {
    QUOTA_EXCEEDED: "Quota exceeded",
    RATE_EXCEEDED: "Connection rate exceeded",
    UNKNOWN: "Unspecified error",
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def test_a_broker_that_is_absent_at_the_start_gets_everything_when_it_comes(
    tmp_path: Path, outbox: Outbox
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    sent = put(outbox, "door", 1, 5)
    with Running(broker, outbox, tmp_path) as running:
        running.wait_for(lambda r: len(r.failures) == 3)
        running.clock.hold()
        running.clock.wait_for_waiting()  # else its next attempt may come before the subscriber
        with broker, Subscriber(broker, DOOR) as subscriber:
            running.clock.release()
            assert subscriber.wait_for_topic(DOOR, 5) == sent
            running.wait_for(lambda _: outbox.depth == 0)
            assert running.stop() == 0
    assert set(running.failures) == {MqttFailure.UNREACHABLE}


def test_a_half_open_connection_is_given_up_when_nothing_is_acknowledged(
    tmp_path: Path, broker: Mosquitto, outbox: Outbox
) -> None:
    with (
        Proxy(broker.host, broker.port) as proxy,
        Subscriber(broker, DOOR) as subscriber,
        Running(proxy, outbox, tmp_path) as running,
    ):
        sent = put(outbox, "door", 1, 3)
        running.wait_for(lambda r: len(r.lags) == 3)
        proxy.forget()  # no FIN, no RST: writing still succeeds
        sent += put(outbox, "door", 4, 6)
        assert proxy.swallowed.wait(PATIENCE)
        running.clock.skip(ACKNOWLEDGE_WITHIN)
        running.wait_for(lambda r: len(r.lags) == 6)
        assert running.stop() == 0
    assert running.failures == [MqttFailure.TIMEOUT]
    assert running.connected == [True, False, True, False]
    assert list(dict.fromkeys(subscriber.on(DOOR))) == sent


def test_a_half_open_connection_is_found_out_while_nothing_is_to_be_sent(
    tmp_path: Path, broker: Mosquitto, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MQTT's keep-alive: the box asks, and no answer within that time ends the connection."""
    keepalive = 60
    with (
        Proxy(broker.host, broker.port) as proxy,
        Running(proxy, outbox, tmp_path, keepalive=keepalive) as running,
    ):
        monkeypatch.setattr("paho.mqtt.client.time_func", running.clock.monotonic)
        sent = put(outbox, "door", 1, 1)
        running.wait_for(lambda r: len(r.lags) == len(sent))
        proxy.forget()
        running.clock.skip(keepalive)
        assert proxy.swallowed.wait(PATIENCE)
        running.clock.skip(keepalive)
        running.wait_for(lambda r: r.connected == [True, False, True])
    assert running.failures == [MqttFailure.LOST]


def test_the_broker_may_ask_to_be_asked_more_often(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the connection otherwise (`max_keepalive` of mosquitto, `server_keepalive` of EMQX)."""
    with FakeBroker() as broker:
        broker.connack_properties = b"\x13\x00\x05"  # Server Keep Alive 5
        with Running(broker, outbox, tmp_path, keepalive=60) as running:
            monkeypatch.setattr("paho.mqtt.client.time_func", running.clock.monotonic)
            put(outbox, "door", 1, 1)
            running.wait_for(lambda r: len(r.lags) == 1)
            assert broker.pings == 0
            running.clock.skip(6)
            broker.wait_for(lambda b: b.pings == 1)
            assert running.stop() == 0
    assert running.failures == []


def test_a_broker_that_forgets_is_sent_what_it_has_to_retain(tmp_path: Path, outbox: Outbox) -> None:
    """mosquitto without `persistence`, restarted: a dashboard must not wait for the next window."""
    latest = TOPICS.latest("door", "all")
    with Mosquitto(tmp_path / "broker") as broker, Running(broker, outbox, tmp_path) as running:
        running.publisher.camera_status(status("door", CameraState.UP))
        outbox.commit(retained={latest: b"newest"})
        with Subscriber(broker, latest) as before:
            before.wait_for_topic(latest)
        broker.kill()
        broker.start()
        running.wait_for(lambda r: r.connected.count(True) == 2)
        with Subscriber(broker, latest) as after:
            assert after.wait_for_topic(latest)[-1] == b"newest"
        assert running.stop() == 0


def test_boxes_that_share_a_user_name_may_be_one_client_to_the_broker(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`use_username_as_clientid`: each box ends the other's connection."""
    monkeypatch.setattr("edge.delivery.publisher.STEADY", PATIENCE)
    (tmp_path / "password").write_text("hunter2")
    extra = ["use_username_as_clientid true"]
    with (
        Mosquitto(tmp_path / "broker", users={"store": "hunter2"}, extra=extra) as broker,
        Running(broker, outbox, tmp_path, username="store", password_file="password") as running,
    ):
        for times in range(1, 4):
            running.wait_for(lambda r, times=times: r.connected.count(True) == times)
            rival = Client(CallbackAPIVersion.VERSION2, f"box-{times}", protocol=MQTTProtocolVersion.MQTTv5)
            rival.username_pw_set("store", "hunter2")
            rival.connect(broker.host, broker.port)
            running.wait_for(lambda r, times=times: r.connected.count(False) == times)
            rival.disconnect()
        assert running.stop() == 0
    assert "does the broker take user names for client ids" in caplog.text
    assert "another client has the user name 'store'?" in caplog.text


def test_an_acknowledgement_now_and_then_keeps_the_connection(tmp_path: Path, outbox: Outbox) -> None:
    """Nine windows that are on their way together take longer than one acknowledgement may be waited for."""
    slow = 0.5 * ACKNOWLEDGE_WITHIN

    def slowly(heard: Heard) -> int:
        if heard.topic == DOOR:
            earlier = sent.index(heard.payload)
            running.wait_for(lambda r: len(r.lags) == earlier)
            running.clock.skip(slow)
        return SUCCESS

    sent = put(outbox, "door", 1, 9)
    with FakeBroker(slowly) as broker, Running(broker, outbox, tmp_path) as running:
        running.wait_for(lambda r: len(r.lags) == 9)
    assert running.failures == []
    assert running.connected == [True, False]


def test_a_line_of_a_kilobyte_a_second_carries_everything(
    tmp_path: Path, broker: Mosquitto, outbox: Outbox
) -> None:
    windows = [bytes([ord("a") + number]) * 600 for number in range(3)]
    with (
        Proxy(broker.host, broker.port, rate=1000.0) as proxy,
        Subscriber(broker, DOOR) as subscriber,
        Running(proxy, outbox, tmp_path, within=PATIENCE, connect_timeout=PATIENCE) as running,
    ):
        for number, window in enumerate(windows):
            outbox.commit([Text(DOOR, str(number), window.decode())])
        subscriber.wait_for_topic(DOOR, 3)
        running.wait_for(lambda r: len(r.lags) == 3)
    assert subscriber.on(DOOR) == windows
    assert running.failures == []
    assert running.connected == [True, False]


def test_a_line_with_long_delays_carries_everything(
    tmp_path: Path, broker: Mosquitto, outbox: Outbox
) -> None:
    with (
        Proxy(broker.host, broker.port, delay=0.3) as proxy,
        Subscriber(broker, DOOR) as subscriber,
        Running(proxy, outbox, tmp_path) as running,
    ):
        sent = put(outbox, "door", 1, 10)
        running.wait_for(lambda r: len(r.lags) == 10)
    assert subscriber.on(DOOR) == sent
    assert running.failures == []


def test_a_line_that_is_cut_again_and_again_loses_nothing(
    tmp_path: Path, broker: Mosquitto, outbox: Outbox
) -> None:
    with (
        Proxy(broker.host, broker.port) as proxy,
        Subscriber(broker, DOOR) as subscriber,
        Running(proxy, outbox, tmp_path, in_flight=7) as running,
    ):
        sent: list[bytes] = []
        for cut in range(10):
            sent += put(outbox, "door", 20 * cut + 1, 20 * cut + 20)
            running.wait_for(lambda r, cut=cut: len(r.lags) > 20 * cut)
            proxy.cut()  # while most of these are on their way
        running.wait_for(lambda r: r.connected.count(True) == 11)
        running.wait_for(lambda _: outbox.depth == 0)
        assert running.stop() == 0
        subscriber.wait_for(lambda m: sent[-1] in [message.payload for message in m])
    assert list(dict.fromkeys(subscriber.on(DOOR))) == sent
    assert proxy.connections == 11
    assert set(running.failures) == {MqttFailure.LOST}


@pytest.mark.parametrize("reason", [QUOTA_EXCEEDED, RATE_EXCEEDED, UNKNOWN])
def test_a_broker_that_refuses_for_now_is_asked_again(
    tmp_path: Path, outbox: Outbox, reason: int, caplog: pytest.LogCaptureFixture
) -> None:
    """EMQX answers what comes too fast with a reason code that MQTT 5 does not list for PUBACK."""
    refused: list[bytes] = []

    def full(heard: Heard) -> int:
        if heard.topic == DOOR and len(refused) < 2:
            refused.append(heard.payload)
            return reason
        return SUCCESS

    sent = put(outbox, "door", 1, 6)
    with (
        FakeBroker(full) as broker,
        Running(broker, outbox, tmp_path, within=PATIENCE) as running,
    ):
        for times in (1, 2):
            running.wait_for(lambda r, times=times: len(r.failures) >= times)
            running.clock.skip(Backoff.LONGEST)  # the camera has rested
        running.wait_for(lambda r: len(r.lags) == 6)
        assert running.stop() == 0
    assert running.failures == [MqttFailure.REJECTED] * 2
    assert running.connected == [True, False]
    assert set(broker.payloads(DOOR)) == set(sent)
    assert f"the broker rejects messages to {DOOR}: {REASONS[reason]}" in caplog.text


def test_a_second_client_of_the_same_name_is_named_and_outwaited(
    tmp_path: Path,
    broker: Mosquitto,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.delivery.publisher.STEADY", PATIENCE)
    with Subscriber(broker, DOOR) as subscriber, Running(broker, outbox, tmp_path) as running:
        sent = put(outbox, "door", 1, 2)
        running.wait_for(lambda r: len(r.lags) == 2)
        for times in range(1, 7):
            before = len(running.clock.waits)
            rival = Client(
                CallbackAPIVersion.VERSION2, "instore-store-box", protocol=MQTTProtocolVersion.MQTTv5
            )
            rival.connect(broker.host, broker.port)
            running.wait_for(lambda r, times=times: r.connected.count(True) == times + 1)
            sent += put(outbox, "door", 2 + times, 2 + times)
            running.wait_for(lambda r, count=2 + times: len(r.lags) == count)
            longest = min(Backoff.LONGEST, Backoff.FIRST * 2.0 ** (times - 1))
            assert longest / 2 <= running.clock.waits[before] <= longest  # though it was let in every time
            rival.disconnect()
        assert running.stop() == 0
    assert subscriber.on(DOOR) == sent
    assert running.failures == [MqttFailure.LOST] * 6
    suspicion = (
        "3 connections were lost within seconds: is another client using the client id 'instore-store-box'?"
    )
    assert caplog.text.count(suspicion) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("expired", "certificate has expired, by this machine's clock"), ("foreign", "")],
)
def test_a_wrong_certificate_is_named_and_the_right_one_opens_the_door(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, wrong: str, reason: str
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    make_certificates(folder, days=-1 if wrong == "expired" else 1)
    authority = folder / "ca.pem"
    if wrong == "foreign":
        (tmp_path / "other").mkdir()
        make_certificates(tmp_path / "other")
        authority = tmp_path / "other" / "ca.pem"
    sent = put(outbox, "door", 1, 3)
    with (
        Mosquitto(folder, tls=True) as broker,
        Running(broker, outbox, tmp_path, tls=True, ca_file=str(authority)) as running,
    ):
        running.wait_for(lambda r: len(r.failures) == 2)
        assert set(running.failures) == {MqttFailure.TLS}
        assert outbox.depth == 3
        running.clock.hold()
        running.clock.wait_for_waiting()
        make_certificates(folder)
        broker.restart()
        with Subscriber(broker, DOOR) as subscriber:
            running.publisher.renew(renewed(running, folder / "ca.pem"))
            running.clock.release()
            assert subscriber.wait_for_topic(DOOR, 3) == sent
    assert caplog.text.count("TLS failed") == 1
    assert reason in caplog.text


def renewed(running: Running, authority: Path) -> BrokerAccess:
    """What a reload reads again: the authority's certificate."""
    settings = running.publisher._access.settings.model_copy(update={"ca_file": str(authority)})
    return read_access(settings, authority.parent)
