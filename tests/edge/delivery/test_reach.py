"""The ways to a broker: WebSockets, TLS with ALPN, an HTTP proxy, a further broker; and names of topics."""

from __future__ import annotations

import base64
import errno
import logging
import socket
import ssl
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.clock import SystemClock
from edge.config import MqttSettings
from edge.delivery import Naming, Topics, probe
from edge.delivery.connection import _Client
from edge.delivery.outbox import Outbox
from edge.ops.reasons import MqttFailure
from edge.types import CameraState
from tests.connect_proxy import ConnectProxy
from tests.loopback import LoopbackServer
from tests.mosquitto import Mosquitto, Subscriber, free_port, make_certificates
from tests.patience import PATIENCE
from tests.publishing import TOPICS, Running, put, status

DOOR = TOPICS.counts("door", "all")

pytestmark = pytest.mark.usefixtures("unhurried_goodbye")


def url(url: str, **more: Any) -> dict[str, Any]:
    """The settings of a broker by its URL; those of the test's broker go."""
    return {"host": "localhost", "port": 1883, "url": url, **more}


def tried(folder: Path, **settings: Any) -> str:
    """Why a trial connection failed; its security where it did not."""
    result = probe(MqttSettings(**settings), "trial", clock=SystemClock(), secrets_beside=folder)
    return result.security if result.connected else result.reason


# WebSockets, TLS and ALPN


@pytest.mark.parametrize(("scheme", "protocol"), [("ws", "5"), ("wss", "5"), ("wss", "3.1.1")])
def test_windows_arrive_over_websockets(
    tmp_path: Path, outbox: Outbox, scheme: str, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port, tls = free_port(), scheme == "wss"
    listener = [f"listener {port} 127.0.0.1", "protocol websockets"]
    with Mosquitto(tmp_path, tls=tls, extra=listener) as broker:
        broker.ca_file = None  # the subscriber's listener has no TLS
        way = url(f"{scheme}://127.0.0.1:{port}/mqtt", protocol=protocol, ca_file="ca.pem" if tls else "")
        with (
            Subscriber(broker, "instore/#") as subscriber,
            Running(broker, outbox, tmp_path, **way) as running,
        ):
            sent = put(outbox, "door", 1, 30, retain=True)
            assert subscriber.wait_for_topic(DOOR, 30) == sent
            assert running.stop() == 0
        security = tried(tmp_path, **way)
    assert running.failures == []
    assert f"connected to {scheme}://127.0.0.1:{port}/mqtt" in caplog.text
    assert security.startswith("TLSv1") if tls else security == "no TLS"


def test_a_certificate_of_another_authority_is_refused_over_websockets(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    make_certificates(tmp_path / "other")
    port = free_port()
    with Mosquitto(tmp_path, tls=True, extra=[f"listener {port} 127.0.0.1", "protocol websockets"]):
        reason = tried(tmp_path / "other", url=f"wss://127.0.0.1:{port}", ca_file="ca.pem")
    assert reason.startswith("TLS failed: ")


def server_tls(folder: Path) -> ssl.SSLContext:
    make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


class Says(LoopbackServer):
    """Answers each request with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def talk(self, client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(self._answer)
        client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nSec-WebSocket-Accept:bare\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"",
    ],
)
def test_a_server_that_opens_no_websocket_is_named(tmp_path: Path, answer: bytes) -> None:
    with Says(answer) as server:
        reason = tried(tmp_path, url=f"ws://127.0.0.1:{server.port}/mqtt")
    assert reason.startswith("no WebSocket of MQTT was opened; are port and path right?"), reason


class Endless(LoopbackServer):
    """Sends a header line without an end: a byte now and then, or as much as is taken."""

    def __init__(self, size: int, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._size = size
        self._tls = tls

    def talk(self, client: socket.socket) -> None:
        with self._tls.wrap_socket(client, server_side=True) if self._tls else client as peer:
            peer.recv(4096)
            peer.settimeout(0.02)
            while True:
                with suppress(TimeoutError):  # the pause
                    peer.sendall(b"a" * self._size)
                    peer.recv(1)


@pytest.mark.parametrize("size", [1, 65536])
@pytest.mark.parametrize("tls", [False, True])
def test_a_websocket_whose_handshake_does_not_end_is_ended(tmp_path: Path, size: int, tls: bool) -> None:
    way: dict[str, Any] = {"connect_timeout": 0.3, "ca_file": "ca.pem" if tls else ""}
    with Endless(size, server_tls(tmp_path) if tls else None) as server:
        reason = tried(tmp_path, url=f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}/mqtt", **way)
    assert reason == "the broker did not answer within 0.3 s"


def test_a_tunnel_that_opens_too_late_is_closed() -> None:
    """The time may be over before the connection is known to the thread that ends it."""
    client = _Client(CallbackAPIVersion.VERSION2)
    ours, theirs = socket.socketpair()
    client.dial = lambda: ours
    client.hang_up()
    with closing(theirs), pytest.raises(TimeoutError):
        client._create_socket_connection()
    assert ours.fileno() == -1


def test_no_descriptor_for_the_client_is_a_fault_of_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("paho.mqtt.client._socketpair_compat", none_left)
    with Says(b"") as server:
        reason = tried(tmp_path, url=f"mqtt://127.0.0.1:{server.port}")
    assert reason == "the connection was lost: Too many open files"


def test_the_protocol_of_alpn_is_offered(tmp_path: Path) -> None:
    """AWS IoT Core takes MQTT on port 443 by its name in the TLS handshake."""
    context = server_tls(tmp_path)
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    agreed: list[str | None] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as client:
            agreed.append(client.selected_alpn_protocol())

    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    tried(tmp_path, url=f"mqtts://127.0.0.1:{port}", ca_file="ca.pem", alpn="x-amzn-mqtt-ca")
    thread.join(PATIENCE)
    listener.close()
    assert agreed == ["x-amzn-mqtt-ca"]


# A proxy


@pytest.mark.parametrize("tls", [False, True])
def test_windows_arrive_through_a_proxy_with_a_password(tmp_path: Path, outbox: Outbox, tls: bool) -> None:
    (tmp_path / "proxy-password").write_text("pass:word\n")
    credentials = base64.b64encode(b"box:pass:word").decode()
    access: dict[str, Any] = {"tls": True, "ca_file": "ca.pem"} if tls else {}
    with (
        Mosquitto(tmp_path, tls=tls) as broker,
        ConnectProxy(f"Basic {credentials}") as proxy,
        Subscriber(broker, "instore/#") as subscriber,
        Running(
            broker,
            outbox,
            tmp_path,
            proxy=f"http://127.0.0.1:{proxy.port}",
            proxy_username="box",
            proxy_password_file="proxy-password",
            **access,
        ) as running,
    ):
        sent = put(outbox, "door", 1, 10)
        assert subscriber.wait_for_topic(DOOR, 10) == sent
        assert running.stop() == 0
    assert running.failures == []
    assert set(proxy.targets) == {f"127.0.0.1:{broker.port}"}


def test_a_proxy_that_asks_for_a_password_is_named(tmp_path: Path) -> None:
    with ConnectProxy("Basic secret") as proxy:
        reason = tried(tmp_path, url="mqtt://broker.invalid", proxy=f"http://127.0.0.1:{proxy.port}")
    assert reason == (
        f"cannot be reached: the proxy 127.0.0.1:{proxy.port} refuses: 407 Proxy Authentication Required"
    )
    assert proxy.targets == ["broker.invalid:1883"], "the proxy resolves the name"


@pytest.mark.parametrize(("answer", "words"), [(b"220 mail ready\r\n\r\n", "no HTTP"), (b"", "closed")])
def test_what_is_no_proxy_is_named(tmp_path: Path, answer: bytes, words: str) -> None:
    with Says(answer) as server:
        reason = tried(tmp_path, proxy=f"http://127.0.0.1:{server.port}")
    assert f"the proxy 127.0.0.1:{server.port}" in reason
    assert words in reason


def test_a_proxy_that_is_absent_is_named(tmp_path: Path) -> None:
    port = free_port()
    reason = tried(tmp_path, proxy=f"http://127.0.0.1:{port}")
    assert reason == f"cannot be reached: the proxy 127.0.0.1:{port}: Connection refused"


# A further broker


def test_a_further_broker_gets_what_the_first_one_cannot_take(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Every window is at one of them; statuses and retained topics are at both."""
    caplog.set_level(logging.INFO)
    with Mosquitto(tmp_path / "one") as first, Mosquitto(tmp_path / "two") as second:
        way = url(f"mqtt://127.0.0.1:{first.port}", failover=[f"mqtt://127.0.0.1:{second.port}"])
        with (
            Subscriber(first, "instore/#") as at_first,
            Subscriber(second, "instore/#") as at_second,
            Running(first, outbox, tmp_path, **way) as running,
        ):
            running.publisher.camera_status(status("door", CameraState.UP))
            sent = put(outbox, "door", 1, 5)
            at_first.wait_for_topic(DOOR, 5)
            first.kill()
            sent += put(outbox, "door", 6, 9)
            at_second.wait_for_topic(DOOR, 4)
            assert at_second.wait_for_topic(TOPICS.camera_status("door"))
            first.start()
            second.kill()
            with Subscriber(first, "instore/#") as again:
                sent += put(outbox, "door", 10, 12)
                again.wait_for(lambda messages: sent[-1] in [m.payload for m in messages])
                assert running.stop() == 0
    arrived = dict.fromkeys(at_first.on(DOOR) + at_second.on(DOOR) + again.on(DOOR))
    assert list(arrived) == sent
    assert f"connected to mqtt://127.0.0.1:{second.port}, a broker of mqtt.failover" in caplog.text


def test_two_brokers_that_are_absent_are_each_named_once(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = free_port(), free_port()
    way = url(f"mqtt://127.0.0.1:{one}", failover=[f"mqtt://127.0.0.1:{two}"], drain_timeout=0.1)
    with Running(Mosquitto(tmp_path / "never"), outbox, tmp_path, **way) as running:
        running.wait_for(lambda r: len(r.failures) >= 6)
        running.stop()
    assert set(running.failures) == {MqttFailure.UNREACHABLE}
    assert caplog.text.count("cannot be reached") == 2
    assert len(running.clock.waits) <= len(running.failures) / 2 + 1, "one pause for both of them"


# Names


def test_a_client_id_is_used_as_it_is(tmp_path: Path, outbox: Outbox) -> None:
    with (
        Mosquitto(tmp_path, extra=["clientid_prefixes till-7"]) as broker,
        Running(broker, outbox, tmp_path, client_id="till-7") as running,
    ):
        running.wait_for(lambda r: bool(r.connected or r.failures))
        assert running.connected == [True]  # the broker takes no other name


def test_the_client_id_holds_no_level_of_the_prefix() -> None:
    assert Topics("org/eu/instore", "store", "box").client_id == "org-eu-instore-store-box"


def test_a_prefix_may_have_several_levels(tmp_path: Path, outbox: Outbox) -> None:
    """Topics of removed cameras below it are cleared as they are below one level."""
    topics = Topics("org/eu/instore", "store", "box")
    assert topics.owner(topics.counts("door", "all")) == "door"
    assert topics.owner("org/eu/other/store/door/status") is None
    with (
        Mosquitto(tmp_path) as broker,
        Subscriber(broker, "#") as subscriber,
        Running(broker, outbox, tmp_path, prefix="org/eu/instore") as running,
    ):
        running.publisher.camera_status(status("door", CameraState.UP))
        subscriber.wait_for_topic(topics.camera_status("door"))
        running.publisher.forget_camera("door")
        subscriber.wait_for_topic(topics.camera_status("door"), 2)
        running.stop()
    assert subscriber.on(topics.camera_status("door"))[-1] == b""
    assert subscriber.on(topics.box_status)


AZURE = "devices/{client_id}/messages/events/source={source}&zone={zone}&message={message}"


@pytest.mark.parametrize(
    ("template", "topic", "named"),
    [
        ("{prefix}/{site}/{levels}", "instore/store/door/all/counts", "instore/store/door/all/counts"),
        (
            AZURE,
            "instore/store/door/a&b/counts",
            "devices/e-1/messages/events/source=door&zone=a%26b&message=counts",
        ),
        (AZURE, "instore/store/box/status", "devices/e-1/messages/events/source=box&zone=&message=status"),
        ("devices/{client_id}/messages/events/", "instore/store/box/status", "devices/e-1/messages/events/"),
        ("$aws/rules/counts/{site}/{levels}", "instore/old/box/status", "$aws/rules/counts/old/box/status"),
        ("{message}/{source}/{zone}", "instore/store/door/all/counts", "counts/door/all"),
        ("{message}/{source}/{zone}", "instore/store/box/status", "status/box"),
        ("{message}/{source}", "other", "other"),
    ],
)
def test_topics_are_named_by_the_template(template: str, topic: str, named: str) -> None:
    settings = MqttSettings(topic=template, client_id="e-1", retain=False)
    assert Naming.of(settings).at_broker(topic) == named


def test_a_broker_for_a_hub_sees_one_topic_and_nothing_retained(tmp_path: Path, outbox: Outbox) -> None:
    """As Azure IoT Hub asks for it: one topic for the device, MQTT 3.1.1, also for the Last Will."""
    hub: dict[str, Any] = {
        "protocol": "3.1.1",
        "client_id": "edge-1",
        "topic": "devices/{client_id}/messages/events/message={message}",
        "retain": False,
    }
    acl = "topic write devices/edge-1/messages/events/#\ntopic read #\n"
    with Mosquitto(tmp_path, acl=acl) as broker:
        with Subscriber(broker, "#") as subscriber, Running(broker, outbox, tmp_path, **hub) as running:
            running.publisher.camera_status(status("door", CameraState.UP))
            sent = put(outbox, "door", 1, 3, retain=True)
            subscriber.wait_for_topic("devices/edge-1/messages/events/message=counts", 3)
            subscriber.wait_for_topic("devices/edge-1/messages/events/message=latest")
            assert running.stop() == 0
        with Subscriber(broker, "#") as later, Running(broker, outbox, tmp_path, **hub) as running:
            later.wait_for(lambda messages: len(messages) > 0)
            running.stop()
    assert subscriber.on("devices/edge-1/messages/events/message=counts") == sent
    assert {m.topic.rpartition("=")[0] for m in subscriber.messages} == {
        "devices/edge-1/messages/events/message"
    }
    assert not any(message.retained for message in later.messages)
