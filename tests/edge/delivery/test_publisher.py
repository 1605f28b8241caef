"""From the outbox to the broker's acknowledgement, with real and with misbehaving brokers."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.clock import Backoff, SystemClock
from edge.config import MqttSettings
from edge.delivery import Publisher, probe
from edge.delivery.outbox import Outbox, Row
from edge.delivery.publisher import ACKNOWLEDGE_WITHIN
from edge.errors import ConfigurationError, OutsideError
from edge.ops.reasons import MqttFailure
from edge.release.messages import StatusEncoder
from edge.types import CameraState
from tests.fake_broker import NOT_AUTHORIZED, SUCCESS, FakeBroker, HangUp, Heard
from tests.fakes import ManualClock
from tests.mosquitto import Mosquitto, Subscriber, free_port, make_certificates
from tests.patience import PATIENCE
from tests.publishing import TOPICS, Running, put, state, status

DOOR, TILL = TOPICS.counts("door", "all"), TOPICS.counts("till", "all")
STATUS = TOPICS.box_status
USERS = {"box": "open sesame", "reader": "read"}

pytestmark = pytest.mark.usefixtures("unhurried_goodbye")


# A real broker


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_windows_arrive_in_order_over_tls_with_a_password(
    tmp_path: Path, outbox: Outbox, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "password").write_text(USERS["box"] + "\n")
    access: dict[str, Any] = {
        "tls": True,
        "ca_file": "ca.pem",
        "username": "box",
        "password_file": "password",
    }
    with (
        Mosquitto(tmp_path, users=USERS, tls=True) as broker,
        Subscriber(broker, "instore/#", user="reader", password="read") as subscriber,
        Running(broker, outbox, tmp_path, protocol=protocol, **access) as running,
    ):
        sent = put(outbox, "door", 1, 30)
        put(outbox, "till", 1, 5)
        assert subscriber.wait_for_topic(DOOR, 30) == sent
        assert len(subscriber.wait_for_topic(TILL, 5)) == 5
        assert running.stop() == 0

    assert outbox.depth == 0
    assert len(running.lags) == 35
    assert 0 <= min(running.lags) <= max(running.lags) < PATIENCE
    assert {message.qos for message in subscriber.messages} == {1}
    assert running.failures == []
    assert f"connected to mqtts://127.0.0.1:{broker.port}" in caplog.text
    assert USERS["box"] not in caplog.text


def test_a_window_is_on_its_way_within_a_fifth_of_a_second(tmp_path: Path, outbox: Outbox) -> None:
    latest, took = TOPICS.latest("door", "all"), list[float]()
    with (
        Mosquitto(tmp_path) as broker,
        Subscriber(broker, DOOR, latest) as subscriber,
        Running(broker, outbox, tmp_path) as running,
    ):
        running.publisher.camera_status(status("door", CameraState.UP))
        # The machine may be busy for a moment, but not in every one.
        while sum(seconds < 0.2 for seconds in took) < 3:
            number = len(took) + 1
            put(outbox, "door", number, number, retain=True)
            begun = time.monotonic()
            subscriber.wait_for_topic(DOOR, number)
            took.append(time.monotonic() - begun)
            subscriber.wait_for_topic(latest, number)
            looks = len(running.beats)
            running.wait_for(lambda r, looks=looks: len(r.beats) >= looks + 2)  # and all is quiet again
            assert sum(took) < PATIENCE / 4, took


def test_an_idle_publisher_uses_next_to_no_processor_time(tmp_path: Path, outbox: Outbox) -> None:
    with Mosquitto(tmp_path) as broker, Running(broker, outbox, tmp_path) as running:
        put(outbox, "door", 1, 1)
        running.wait_for(lambda r: len(r.lags) == 1)
        begun, looks = time.monotonic(), len(running.beats)
        running.wait_for(lambda r: len(r.beats) >= looks + 10)
        seconds = time.monotonic() - begun

    used = running.beats[looks + 9] - running.beats[looks]
    assert seconds > 0.5  # it rests between two looks, but for what it may still have had to do
    assert used < 0.05


def test_a_wrong_password_is_named_once_and_retried_until_it_is_right(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("wrong word")
    sent = put(outbox, "door", 1, 2)
    with Mosquitto(tmp_path, users=USERS) as broker:
        access: dict[str, Any] = {"username": "box", "password_file": "password"}
        with Running(broker, outbox, tmp_path, **access) as running:
            running.wait_for(lambda r: len(r.failures) == 3)
            running.clock.hold()
            running.clock.wait_for_waiting()
            assert running.connected == []
            assert outbox.depth == 2

            broker.set_users(USERS | {"box": "wrong word"})
            broker.restart()
            with Subscriber(broker, "instore/#", user="reader", password="read") as subscriber:
                running.clock.release()
                assert subscriber.wait_for_topic(DOOR, 2) == sent

    assert set(running.failures) == {MqttFailure.REFUSED}
    refusals = [r.getMessage() for r in caplog.records if "refused the connection" in r.getMessage()]
    assert refusals == [
        f"mqtt://127.0.0.1:{broker.port}: the broker refused the connection: Not authorized; 2 messages wait"
    ]
    assert "wrong word" not in caplog.text


def test_a_broker_that_is_killed_and_comes_back_misses_nothing(tmp_path: Path, outbox: Outbox) -> None:
    with Mosquitto(tmp_path) as broker, Running(broker, outbox, tmp_path, in_flight=5) as running:
        with Subscriber(broker, "instore/#") as before:
            put(outbox, "door", 1, 40)
            put(outbox, "till", 1, 40)
            before.wait_for_topic(DOOR, 20)
            running.clock.hold()
            broker.kill()
            before.wait_for_loss()
        running.wait_for(lambda r: r.connected == [True, False])
        put(outbox, "door", 41, 50)
        broker.start()
        with Subscriber(broker, "instore/#") as after:
            running.clock.release()
            after.wait_for_topic(DOOR)
            running.wait_for(lambda _: outbox.depth == 0)
            assert running.stop() == 0
            after.wait_for(lambda m: any(state(x.payload) == "offline" for x in m if x.topic == STATUS))

    for topic, camera, count in ((DOOR, "door", 50), (TILL, "till", 40)):
        arrived = list(dict.fromkeys(before.on(topic) + after.on(topic)))  # twice is allowed, missing is not
        assert arrived == [f"{camera} {i}".encode() for i in range(1, count + 1)]


def test_the_last_window_of_each_camera_is_retained(tmp_path: Path, outbox: Outbox) -> None:
    with Mosquitto(tmp_path) as broker:
        put(outbox, "door", 1, 60, retain=True)
        put(outbox, "till", 1, 3, retain=True)
        running = Running(broker, outbox, tmp_path)
        for camera in ("door", "till"):
            running.publisher.camera_status(status(camera, CameraState.UP))
        with Subscriber(broker, TOPICS.latest("door", "all")) as live, running:
            live.wait_for(lambda messages: messages[-1].payload == b"door 60" if messages else False)
            assert running.stop() == 0
        with Subscriber(broker, TOPICS.latest("+", "+"), DOOR) as late:
            late.wait_for(lambda messages: len(messages) == 2)

    assert live.on(TOPICS.latest("door", "all")) == [b"door 60"]  # a backlog does not go over the wire twice
    assert late.on(TOPICS.latest("door", "all")) == [b"door 60"]
    assert late.on(TOPICS.latest("till", "all")) == [b"till 3"]
    assert all(message.retained for message in late.messages)


def test_the_box_is_online_while_it_runs_and_offline_after_a_stop(tmp_path: Path, outbox: Outbox) -> None:
    with Mosquitto(tmp_path) as broker:
        with Running(broker, outbox, tmp_path) as running:
            running.wait_for(lambda r: r.connected == [True])
            with Subscriber(broker, STATUS) as during:
                during.wait_for(lambda m: [state(x.payload) for x in m] == ["online"])
                running.stop()
                during.wait_for_topic(STATUS, 2)
        with Subscriber(broker, STATUS) as after:
            (payload,) = after.wait_for_topic(STATUS)

    assert after.messages[0].retained
    assert state(payload) == "offline"
    assert b'"reason":"stopped"' in payload
    assert running.connected == [True, False]


def test_the_last_will_speaks_for_a_box_that_vanished(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Mosquitto(tmp_path) as broker,
        Subscriber(broker, STATUS) as subscriber,
        Running(broker, outbox, tmp_path) as running,
    ):
        subscriber.wait_for_topic(STATUS)
        running.clock.hold()
        # The disk fails in mid-connection: the socket is let go without a word, as by a kill.
        monkeypatch.setattr(outbox, "pending", _fails)
        running.wait_for(lambda r: r.connected == [True, False])
        *_, will = subscriber.wait_for_topic(STATUS, 2)
        monkeypatch.undo()
        running.clock.release()
        *_, again = subscriber.wait_for_topic(STATUS, 3)

    assert b'"state":"offline","since":null,"reason":"connection lost"' in will
    assert state(again) == "online"
    assert running.failures == [MqttFailure.DISK]


def _fails(*_: object) -> list[Row]:
    raise OutsideError("outbox: disk I/O error")


def test_camera_statuses_are_retained_and_said_again_on_every_connect(tmp_path: Path, outbox: Outbox) -> None:
    topic = TOPICS.camera_status("door")
    with Mosquitto(tmp_path) as broker, Running(broker, outbox, tmp_path) as running:
        running.publisher.camera_status(status("door", CameraState.UP))
        with Subscriber(broker, topic) as subscriber:
            subscriber.wait_for_topic(topic, 1)
            running.publisher.camera_status(status("door", CameraState.DARK))
            assert b'"state":"dark"' in subscriber.wait_for_topic(topic, 2)[-1]
            running.publisher.camera_status(status("door", CameraState.DARK))  # no news
        running.clock.hold()
        broker.restart()  # it keeps nothing
        with Subscriber(broker, topic) as subscriber:
            running.clock.release()
            (payload,) = subscriber.wait_for_topic(topic)
        running.publisher.camera_status(status("door", CameraState.DOWN))
        assert running.stop() == 0
        with Subscriber(broker, topic) as late:
            assert b'"state":"down"' in late.wait_for_topic(topic)[-1]

    assert b'"state":"dark"' in payload


def test_a_rejected_camera_waits_and_does_not_hold_up_the_others(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    acl = (
        f"topic readwrite {STATUS}\ntopic readwrite {TILL}\ntopic readwrite {TOPICS.latest('till', 'all')}\n"
    )
    put(outbox, "door", 1, 30)
    sent = put(outbox, "till", 1, 10)
    with (
        Mosquitto(tmp_path, acl=acl) as broker,
        Subscriber(broker, TILL) as subscriber,
        Running(broker, outbox, tmp_path, within=PATIENCE, in_flight=4, drain_timeout=0.1) as running,
    ):
        assert subscriber.wait_for_topic(TILL, 10) == sent
        running.wait_for(lambda r: len(r.lags) == 10 and bool(r.failures))
        while (before := len(running.failures)) < 5:
            running.clock.skip(Backoff.LONGEST)  # the camera has rested
            running.wait_for(lambda r, before=before: len(r.failures) > before)
        assert running.stop() == 30

    assert set(running.failures) == {MqttFailure.REJECTED}
    assert running.connected == [True, False]
    complaints = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert complaints == [f"the broker rejects messages to {DOOR}: Not authorized"]


def test_a_camera_that_is_rejected_no_more_sends_everything(tmp_path: Path, outbox: Outbox) -> None:
    rejected: list[bytes] = []

    def script(heard: Heard) -> int:
        if heard.topic == DOOR and len(rejected) < 3:
            rejected.append(heard.payload)
            return NOT_AUTHORIZED
        return SUCCESS

    sent = put(outbox, "door", 1, 8)
    with (
        FakeBroker(script) as broker,
        Running(broker, outbox, tmp_path, within=PATIENCE, in_flight=2) as running,
    ):
        for times in range(1, 4):
            running.wait_for(lambda r, times=times: len(r.failures) >= times)
            running.clock.skip(Backoff.LONGEST)
        running.wait_for(lambda r: len(r.lags) == 8)

    assert running.failures == [MqttFailure.REJECTED] * 3
    assert sorted(broker.payloads(DOOR)) == sorted(sent + rejected)
    assert len(broker.levels) == 1


# Brokers that misbehave


def test_withheld_acknowledgements_leave_the_rows_and_send_them_again(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    sent = put(outbox, "door", 1, 6)

    def withholds(heard: Heard) -> int | None:
        return None if heard.topic == DOOR and heard.payload not in sent[:2] else SUCCESS

    with (
        FakeBroker(withholds) as broker,
        Running(broker, outbox, tmp_path, in_flight=3) as running,
    ):
        running.wait_for(lambda r: len(r.lags) == 2)
        broker.wait_for(lambda b: len(b.payloads(DOOR, connection=1)) == 5)
        running.clock.skip(ACKNOWLEDGE_WITHIN)
        broker.wait_for(lambda b: len(b.payloads(DOOR, connection=2)) == 3)
        running.clock.hold()
        running.clock.skip(ACKNOWLEDGE_WITHIN)
        running.wait_for(lambda r: len(r.failures) == 2)
        assert [row.payload for row in outbox.pending(0, 10)] == sent[2:]
        broker.script = lambda _: SUCCESS
        running.clock.release()
        running.wait_for(lambda r: len(r.lags) == 6)

    assert running.failures == [MqttFailure.TIMEOUT, MqttFailure.TIMEOUT]
    assert broker.payloads(DOOR, connection=1) == sent[:5]  # two acknowledged, three in flight
    assert broker.payloads(DOOR, connection=2) == sent[2:5]
    assert not any(heard.duplicate for heard in broker.heard)
    assert "the broker acknowledged nothing for 20 s; 4 messages wait" in caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_connection_that_breaks_off_in_the_middle_is_taken_up_again(
    tmp_path: Path, outbox: Outbox, protocol: str
) -> None:
    sent = put(outbox, "door", 1, 20)

    def hangs_up(heard: Heard) -> int:
        if heard.payload == sent[2 + 3 * heard.connection] and heard.connection < 4:
            raise HangUp
        return SUCCESS

    with FakeBroker(hangs_up) as broker, Running(broker, outbox, tmp_path, protocol=protocol) as running:
        running.wait_for(lambda r: len(r.lags) == 20)
        assert running.stop() == 0

    assert list(dict.fromkeys(broker.payloads(DOOR))) == sent
    assert broker.levels == [5 if protocol == "5" else 4] * 4
    assert running.failures == [MqttFailure.LOST] * 3
    assert running.connected == [True, False] * 4


@pytest.mark.parametrize(
    ("protocol", "code", "reason"),
    [
        ("5", 0x86, "refused the connection: Bad user name or password"),
        ("5", 0x87, "refused the connection: Not authorized"),
        ("5", 0x84, "refused the connection: Unsupported protocol version; try mqtt.protocol = '3.1.1'"),
        ("3.1.1", 5, "refused the connection: Not authorized"),
        ("3.1.1", 4, "refused the connection: Bad user name or password"),
        ("3.1.1", 1, "closed the connection without an answer: does it speak MQTT 3.1.1 without TLS"),
    ],
)
def test_a_refusal_is_named_counted_and_no_connection(
    tmp_path: Path,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
    *,
    protocol: str,
    code: int,
    reason: str,
) -> None:
    put(outbox, "door", 1, 1)
    with (
        FakeBroker(connack=code) as broker,
        Running(broker, outbox, tmp_path, protocol=protocol, drain_timeout=1e-6) as running,
    ):
        running.wait_for(lambda r: len(r.failures) == 3)
        assert running.connected == []
        assert running.stop() == 1

    assert caplog.text.count(reason) == 1
    assert set(broker.levels) == {5 if protocol == "5" else 4}  # no silent downgrade


def test_a_broker_of_old_is_told_by_its_answer_to_mqtt_5(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeBroker(connack=1) as broker:
        broker.as_old = True
        with Running(broker, outbox, tmp_path) as running:
            running.wait_for(lambda r: r.failures[:1] == [MqttFailure.REFUSED])

    assert "Unsupported protocol version; try mqtt.protocol = '3.1.1'" in caplog.text


def test_a_broker_that_never_answers_is_given_up(tmp_path: Path, outbox: Outbox) -> None:
    with (
        FakeBroker(connack=None) as broker,
        Running(broker, outbox, tmp_path, connect_timeout=0.1) as running,
    ):
        running.wait_for(lambda r: len(r.failures) == 2)

    assert set(running.failures) == {MqttFailure.TIMEOUT}
    assert running.connected == []


def test_no_more_is_in_flight_than_the_broker_wants(tmp_path: Path, outbox: Outbox) -> None:
    put(outbox, "door", 1, 9)
    with FakeBroker(lambda heard: None if heard.topic == DOOR else SUCCESS) as broker:
        broker.connack_properties = b"\x21\x00\x02"  # Receive Maximum 2
        with Running(broker, outbox, tmp_path, drain_timeout=0.1) as running:
            broker.wait_for(lambda b: len(b.payloads(DOOR)) == 2)
            running.clock.skip(ACKNOWLEDGE_WITHIN)
            broker.wait_for(lambda b: len(b.levels) == 2)  # and has read all of the first connection

    assert broker.payloads(DOOR, connection=1) == [b"door 1", b"door 2"]


def test_the_waits_grow_are_bounded_and_start_over_after_success(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.publisher.STEADY", 0.0)
    with FakeBroker(connack=0x87) as broker, Running(broker, outbox, tmp_path) as running:
        running.wait_for(lambda r: len(r.failures) == 9)
        broker.connack = SUCCESS
        running.wait_for(lambda r: r.connected == [True])
        broker.wait_for(lambda b: len(b.heard) == 1)
        put(outbox, "door", 1, 1)
        running.wait_for(lambda r: len(r.lags) == 1)
        before = len(running.clock.waits)
        broker.hang_up()
        running.wait_for(lambda r: r.connected[-2:] == [False, True])

    for attempt, wait in enumerate(running.clock.waits[:9]):
        longest = min(Backoff.LONGEST, Backoff.FIRST * 2.0**attempt)
        assert longest / 2 <= wait <= longest
    assert running.clock.waits[before] <= Backoff.FIRST


# The end


def test_a_stop_first_sends_what_waits(tmp_path: Path, outbox: Outbox) -> None:
    sent = put(outbox, "door", 1, 50)
    with FakeBroker() as broker:
        running = Running(broker, outbox, tmp_path)
        running._stop.set()
        with running:
            running._thread.join(PATIENCE)

    assert running.left == 0
    assert broker.payloads(DOOR) == sent
    assert [state(payload) for payload in broker.payloads(STATUS)] == ["online", "offline"]
    assert broker.goodbyes == 1


def test_a_stop_does_not_wait_for_ever(tmp_path: Path, outbox: Outbox) -> None:
    put(outbox, "door", 1, 5)
    with (
        FakeBroker(lambda heard: None if heard.topic == DOOR else SUCCESS) as broker,
        Running(broker, outbox, tmp_path, drain_timeout=0.2) as running,
    ):
        broker.wait_for(lambda b: len(b.heard) == 6)
        assert running.stop() == 5

    assert state(broker.payloads(STATUS)[-1]) == "offline"
    assert broker.goodbyes == 1


def test_a_goodbye_that_is_not_heard_is_left_to_the_will(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.session.GOODBYE", 0.1)
    with (
        FakeBroker(lambda heard: SUCCESS if state(heard.payload) == "online" else None) as broker,
        Running(broker, outbox, tmp_path) as running,
    ):
        running.wait_for(lambda r: r.connected == [True])
        assert running.stop() == 0

    assert broker.goodbyes == 0  # no DISCONNECT: the broker publishes the will


def test_a_stop_without_a_broker_ends_after_the_drain(tmp_path: Path, outbox: Outbox) -> None:
    broker = FakeBroker()
    with broker:
        pass  # nobody listens on its port any more
    put(outbox, "door", 1, 2)
    with Running(broker, outbox, tmp_path, drain_timeout=0.1) as running:
        running.wait_for(lambda r: len(r.failures) == 1)
        assert running.stop() == 2

    assert set(running.failures) == {MqttFailure.UNREACHABLE}


# Before anything is opened


def construct(folder: Path, **settings: Any) -> Publisher:
    outbox: Any = None
    return Publisher(
        MqttSettings(**settings),
        "store",
        "box",
        store=outbox,
        statuses=StatusEncoder("store", "box", "0.1.0"),
        clock=ManualClock(),
        rng=random.Random(7),
        secrets_beside=folder,
    )


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"username": "box", "password_file": "nowhere"},
            r"mqtt\.password_file = 'nowhere': .*cannot be read",
        ),
        ({"username": "box", "password_file": "empty"}, r"mqtt\.password_file = 'empty': .*is empty"),
        (
            {"tls": True, "ca_file": "nowhere"},
            r"mqtt\.ca_file = 'nowhere': .*/nowhere cannot be read: No such",
        ),
        ({"tls": True, "ca_file": "text"}, r"mqtt\.ca_file = 'text': holds no certificate"),
        (
            {"tls": True, "cert_file": "server.pem", "key_file": "nowhere"},
            r"mqtt\.key_file = 'nowhere': .*cannot be read",
        ),
        (
            {"tls": True, "cert_file": "server.pem", "key_file": "ca.key"},
            r"mqtt\.cert_file = 'server\.pem', mqtt\.key_file = 'ca\.key': .* must be .* its key",
        ),
    ],
)
def test_a_secret_that_cannot_be_used_is_named(tmp_path: Path, settings: dict[str, Any], fault: str) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "text").write_text("no certificate")
    make_certificates(tmp_path)

    with pytest.raises(ConfigurationError, match=fault):
        construct(tmp_path, **settings)


def test_a_client_certificate_opens_the_door(tmp_path: Path, outbox: Outbox) -> None:
    extra = (f"cafile {tmp_path / 'ca.pem'}", "require_certificate true")
    certificate: dict[str, Any] = {"cert_file": "server.pem", "key_file": "server.key"}
    with Mosquitto(tmp_path, tls=True, extra=extra) as broker:
        with Running(broker, outbox, tmp_path, tls=True, ca_file="ca.pem", **certificate) as running:
            put(outbox, "door", 1, 1)
            running.wait_for(lambda r: len(r.lags) == 1)
        with Running(broker, outbox, tmp_path, tls=True, ca_file="ca.pem") as running:
            running.wait_for(lambda r: len(r.failures) == 1)

    assert running.connected == []


# The trial connection of `check`


def test_probe_says_that_a_broker_answers_and_how_fast(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, Subscriber(broker, "#") as subscriber:
        settings = MqttSettings(host=broker.host, port=broker.port)
        found = probe(settings, "check", clock=SystemClock(), secrets_beside=tmp_path)
        broker.wait_for_log(lambda line: "Client check disconnected." in line)

    assert (found.connected, found.reason) == (True, "")
    assert 0 < found.round_trip < PATIENCE
    assert subscriber.messages == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {},
            "the broker closed the connection without an answer: "
            "does it speak MQTT 5 without TLS on this port?",
        ),
        ({"tls": True}, "TLS failed: unable to get local issuer certificate"),
        ({"tls": True, "ca_file": "other/ca.pem"}, "TLS failed: "),
        ({"tls": True, "ca_file": "ca.pem", "host": "127.0.0.2"}, "cannot be reached: Connection refused"),
        ({"tls": True, "ca_file": "ca.pem"}, "the broker refused the connection: Not authorized"),
        (
            {"tls": True, "ca_file": "ca.pem", "username": "box", "password_file": "password"},
            "the broker refused the connection: Not authorized",
        ),
        ({"host": "no.such.host.invalid"}, "cannot be reached: "),
        ({"host": "." * 300}, "cannot be reached: "),
    ],
)
def test_probe_says_why_a_broker_does_not_let_us_in(
    tls_broker: Mosquitto, settings: dict[str, Any], reason: str
) -> None:
    address: dict[str, Any] = {"host": tls_broker.host, "port": tls_broker.port}
    access = MqttSettings(**(address | settings))
    folder = tls_broker.ca_file.parent if tls_broker.ca_file else Path()
    found = probe(access, "check", clock=SystemClock(), secrets_beside=folder)

    assert not found.connected
    assert found.reason.startswith(reason)


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder = tmp_path_factory.mktemp("broker")
    (folder / "password").write_text("wrong word")
    (folder / "other").mkdir()
    make_certificates(folder / "other")
    with Mosquitto(folder, users=USERS, tls=True) as broker:
        yield broker


OWN = ["instore/s/box/status", *(f"instore/s/door/{kind}" for kind in ("status", "counts", "latest"))]
SOME_ACL = (
    "user box\ntopic write instore/s/box/#\ntopic write instore/s/door/counts\nuser ear\ntopic read #\n"
)


def test_probe_tells_the_rights_on_every_topic_and_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("word")
    users = {"box": "word", "ear": "word"}
    # Fewer verdicts at once than topics: it takes three connections.
    extra = ("max_inflight_messages 2",)
    with (
        Mosquitto(tmp_path, users=users, acl=SOME_ACL, tls=True, extra=extra) as broker,
        Subscriber(broker, "#", user="ear", password="word") as subscriber,
    ):
        settings = MqttSettings(
            host=broker.host,
            port=broker.port,
            tls=True,
            ca_file="ca.pem",
            username="box",
            password_file="password",
        )
        found = probe(
            settings, "check", clock=SystemClock(), secrets_beside=tmp_path, sizes=dict.fromkeys(OWN, 0)
        )
    assert found.connected
    assert found.refused == ("instore/s/door/status", "instore/s/door/latest")
    assert re.fullmatch(r"TLSv1\.\d, its certificate is valid until \d{4}-\d\d-\d\d", found.security)
    assert subscriber.messages == []


@pytest.mark.parametrize(("protocol", "extra"), [("3.1.1", ()), ("5", ("max_qos 1",))])
def test_probe_does_not_guess_rights_that_the_broker_does_not_tell(
    tmp_path: Path, protocol: Any, extra: tuple[str, ...]
) -> None:
    with Mosquitto(tmp_path, extra=extra) as broker, Subscriber(broker, "#") as subscriber:
        settings = MqttSettings(host=broker.host, port=broker.port, protocol=protocol)
        found = probe(
            settings, "check", clock=SystemClock(), secrets_beside=tmp_path, sizes=dict.fromkeys(OWN, 0)
        )

    assert (found.connected, found.refused, found.security) == (True, None, "no TLS")
    assert subscriber.messages == []


def test_probe_finds_nobody(tmp_path: Path) -> None:
    settings = MqttSettings(host="127.0.0.1", port=free_port())
    found = probe(settings, "check", clock=SystemClock(), secrets_beside=tmp_path)

    assert (found.connected, found.reason) == (False, "cannot be reached: Connection refused")


def test_the_name_in_the_certificate_is_checked(tmp_path: Path) -> None:
    """A certificate that the CA signed for another name opens nothing."""
    make_certificates(tmp_path, names="DNS:elsewhere.example")
    with Mosquitto(tmp_path, tls=True) as broker:
        settings = MqttSettings(host=broker.host, port=broker.port, tls=True, ca_file="ca.pem")
        found = probe(settings, "check", clock=SystemClock(), secrets_beside=tmp_path)

    assert not found.connected
    assert found.reason.startswith("TLS failed: IP address mismatch")
