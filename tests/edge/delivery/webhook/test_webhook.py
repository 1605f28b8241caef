"""Signed posts to a web server: from the outbox, in order, until each is accepted, beside the broker."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from edge.clock import SystemClock
from edge.commands.check.verdict import Status, attempt
from edge.commands.check.webhook import check_webhook
from edge.config import WebhookSettings
from edge.delivery.outbox import Outbox, Receiver
from edge.delivery.webhook import WebhookSender, read_hook
from edge.errors import ConfigurationError
from edge.ops.reasons import WebhookFailure
from tests.edge.delivery.webhook.hook_server import HookServer, Post
from tests.fakes import ManualClock, settings
from tests.loopback import LoopbackServer
from tests.messages import Text
from tests.mosquitto import Mosquitto, Subscriber, free_port, make_certificates
from tests.patience import PATIENCE
from tests.publishing import TOPICS, ImpatientClock, put
from tests.publishing import Running as Publishing

SECRET = "a secret of the box, long enough"
DOOR = TOPICS.counts("door", "all")
BOTH = Receiver.MQTT | Receiver.WEBHOOK


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox.db", 10_000, 1 << 24, receivers=Receiver.WEBHOOK)
    yield outbox
    outbox.close()


def hook_settings(folder: Path, url: str, secret: str = SECRET, **more: Any) -> WebhookSettings:
    (folder / "secret").write_text(secret + "\n")
    return WebhookSettings(url=url, secret_file="secret", **more)


class Posting:
    """A sender in a thread of its own, with what it reported."""

    def __init__(self, outbox: Outbox, folder: Path, url: str, **more: Any) -> None:
        self.clock = ImpatientClock()
        self.failures: list[WebhookFailure] = []
        self.states: list[bool] = []
        self.left: int | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.sender = WebhookSender(
            read_hook(hook_settings(folder, url, **more), folder),
            outbox.of(Receiver.WEBHOOK),
            clock=self.clock,
            rng=random.Random(7),
            on_failure=self._noting(self.failures),
            on_state=self._noting(self.states),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int | None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the sender does not end"
        return self.left

    def wait_for(self, predicate: Callable[[Posting], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self), PATIENCE), (self.failures, self.states)

    def _run(self) -> None:
        self.left = self.sender.run(self._stop, lambda: self.clock.skip(30.0), drain_within=PATIENCE * 1000)

    def _noting(self, notes: list[Any]) -> Callable[[Any], None]:
        def note(value: Any) -> None:
            with self._changed:
                notes.append(value)
                self._changed.notify_all()

        return note


def is_signed(post: Post, key: bytes) -> bool:
    """As Standard Webhooks has a consumer verify it."""
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return post.headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    ("secret", "key"),
    [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(b"k" * 32).decode(), b"k" * 32)],
)
def test_messages_arrive_signed_and_in_order_over_tls(
    tmp_path: Path, outbox: Outbox, secret: str, key: bytes
) -> None:
    make_certificates(tmp_path)
    with (
        HookServer(tls=tmp_path) as server,
        Posting(outbox, tmp_path, server.url, secret=secret, ca_file="ca.pem") as posting,
    ):
        sent = put(outbox, "door", 1, 20)
        server.wait_for(lambda posts: len(posts) == 20)
        assert posting.stop() == 0
    assert server.accepted == sent
    assert all(is_signed(post, key) for post in server.posts)
    assert not is_signed(server.posts[0], b"another key")
    first = server.posts[0]
    assert first.path == "/hook"
    assert first.headers["instore-topic"] == DOOR
    assert first.headers["content-type"] == "application/json"
    assert abs(int(first.headers["webhook-timestamp"]) - time.time()) < PATIENCE
    assert len({post.headers["webhook-id"] for post in server.posts}) == 20
    assert outbox.depth == 0
    assert posting.failures == []


def test_a_server_that_refuses_or_hangs_up_is_asked_again_in_order(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sent = put(outbox, "door", 1, 3)
    with HookServer([500, 500, 0, 204, 302]) as server, Posting(outbox, tmp_path, server.url) as posting:
        server.wait_for(lambda _: server.accepted == sent if len(server.posts) >= 7 else False)
        posting.stop()
    assert server.accepted == sent
    same = {post.headers["webhook-id"] for post in server.posts[:4]}
    assert len(same) == 1, "the same message keeps its id"
    refused, unreachable = WebhookFailure.REFUSED, WebhookFailure.UNREACHABLE
    assert posting.failures == [refused, refused, unreachable, refused]
    assert caplog.text.count("answers with status 500; 3 messages wait") == 1
    assert "answers with status 302; redirects are not followed" in caplog.text
    assert "works again" in caplog.text
    assert "/hook" not in caplog.text, "a path may be a secret"


def test_a_message_that_is_rejected_delays_no_other_and_comes_again(tmp_path: Path, outbox: Outbox) -> None:
    sent = put(outbox, "door", 1, 3)
    with HookServer([413]) as server, Posting(outbox, tmp_path, server.url) as posting:
        server.wait_for(lambda posts: len(posts) >= 4)
        assert posting.stop() == 0
    assert server.accepted == [*sent[1:], sent[0]]
    assert posting.failures == [WebhookFailure.REJECTED]


def post_until(
    end: Callable[[ManualClock], bool], outbox: Outbox, folder: Path, url: str
) -> tuple[list[float], list[WebhookFailure], list[bool]]:
    """Post in this thread until `end`: when each post was refused, why, and each state."""
    clock, stop, failures, states = ManualClock(), threading.Event(), list[WebhookFailure](), list[bool]()
    times: list[float] = []

    def fail(failure: WebhookFailure) -> None:
        failures.append(failure)
        times.append(clock.monotonic())

    def beat() -> None:
        clock.advance(0.01 if stop.is_set() else 0.0)
        if end(clock):
            stop.set()

    WebhookSender(
        read_hook(hook_settings(folder, url), folder),
        outbox.of(Receiver.WEBHOOK),
        clock=clock,
        rng=random.Random(7),
        on_failure=fail,
        on_state=states.append,
    ).run(stop, beat, drain_within=1.0)
    return times, failures, states


def test_a_server_that_rejects_every_message_is_asked_with_pauses(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """As a server does that has another secret."""
    caplog.set_level(logging.INFO)
    sent = put(outbox, "door", 1, 12)
    with HookServer([400] * 20) as server:
        times, failures, states = post_until(lambda _: outbox.depth == 0, outbox, tmp_path, server.url)
    assert failures == [WebhookFailure.REJECTED] * 4 + [WebhookFailure.REFUSED] * 16
    assert times.count(0.0) == 5
    assert len(set(times[4:])) == 16, "one post at a time"
    assert states == [False] * 20 + [True] * 12
    assert sorted(server.accepted) == sorted(sent)
    assert caplog.text.count("answers with status 400 to a message of") == 1
    assert (
        caplog.text.count("answers with status 400 to each of 5 messages or more; is webhook.secret_file")
        == 1
    )
    assert caplog.text.count("works again") == 1


def test_one_message_that_is_rejected_for_ever_makes_no_server_refuse(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    put(outbox, "door", 1, 1)
    with HookServer([413] * 20) as server:
        _, failures, states = post_until(
            lambda clock: clock.monotonic() > 2000.0, outbox, tmp_path, server.url
        )
    assert failures == [WebhookFailure.REJECTED] * 7
    assert states == [False] * 7
    assert caplog.text.count("answers with status 413") == 1


def test_a_stop_does_not_wait_for_messages_that_are_rejected(tmp_path: Path, outbox: Outbox) -> None:
    sent = put(outbox, "door", 1, 3)
    beats: list[float] = []

    def stop_at_once(clock: ManualClock) -> bool:
        beats.append(clock.monotonic())
        return True

    with HookServer([413]) as server:
        _, failures, _ = post_until(stop_at_once, outbox, tmp_path, server.url)
    assert server.accepted == sent[1:]
    assert failures == [WebhookFailure.REJECTED]
    assert len(beats) < 10, "it spins until the end of the drain"


def test_a_server_that_asks_for_a_pause_gets_it(tmp_path: Path, outbox: Outbox) -> None:
    put(outbox, "door", 1, 1)
    with (
        HookServer([503, 503], headers={"retry-after": "200"}) as server,
        Posting(outbox, tmp_path, server.url) as posting,
    ):
        begun = posting.clock.monotonic()
        server.wait_for(lambda posts: len(posts) == 3)
        assert posting.clock.monotonic() - begun >= 400


class Drip(LoopbackServer):
    """Answers a byte now and then, and never to the end."""

    def talk(self, client: socket.socket) -> None:
        client.recv(65536)
        while True:
            client.sendall(b"H")
            time.sleep(0.05)


def test_an_answer_that_never_ends_is_ended(tmp_path: Path, outbox: Outbox) -> None:
    put(outbox, "door", 1, 1)
    with Drip() as server:
        url = f"http://127.0.0.1:{server.port}/"
        with Posting(outbox, tmp_path, url, timeout=0.3) as posting:
            posting.wait_for(lambda p: WebhookFailure.TIMEOUT in p.failures)
            assert posting.stop() == 1


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, outbox: Outbox) -> None:
    make_certificates(tmp_path)
    put(outbox, "door", 1, 1)
    with HookServer(tls=tmp_path) as server, Posting(outbox, tmp_path, server.url) as posting:
        posting.wait_for(lambda p: WebhookFailure.TLS in p.failures)
    assert server.posts == []
    assert outbox.depth == 1


# Beside the broker


def test_a_message_is_deleted_when_both_have_acknowledged_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", 10_000, 1 << 24, receivers=BOTH)
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Subscriber(broker, DOOR) as subscriber,
        Publishing(broker, outbox.of(Receiver.MQTT), tmp_path) as publishing,
    ):
        sent = put(outbox, "door", 1, 5)
        subscriber.wait_for_topic(DOOR, 5)
        assert publishing.stop() == 0
        assert (outbox.depth_of(Receiver.MQTT), outbox.depth_of(Receiver.WEBHOOK), outbox.depth) == (0, 5, 5)
        with HookServer() as server, Posting(outbox, tmp_path, server.url):
            server.wait_for(lambda posts: len(posts) == 5)
    assert server.accepted == sent == subscriber.on(DOOR)
    assert outbox.depth == 0
    assert outbox.payload_bytes == 0
    outbox.close()


def test_without_any_receiver_nothing_waits_and_sequences_continue(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", 10_000, 1 << 24, receivers=Receiver.NONE)
    rows = [outbox.commit([Text(DOOR, f"{n}")])[0] for n in range(3)]
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert len({row.id for row in rows}) == 3
    assert outbox.knows(DOOR, "1")
    assert (outbox.depth, outbox.payload_bytes) == (0, 0)
    outbox.close()


def test_what_waits_for_a_receiver_that_is_turned_off_waits_on(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, 10_000, 1 << 24, receivers=BOTH)
    sent = put(outbox, "door", 1, 2)
    outbox.close()
    outbox = Outbox(path, 10_000, 1 << 24, receivers=Receiver.MQTT)
    assert outbox.depth == 2
    outbox.delete([row.id for row in outbox.pending(0, 10)])
    assert outbox.depth == 0
    outbox.close()
    outbox = Outbox(path, 10_000, 1 << 24, receivers=BOTH)
    assert [row.payload for row in outbox.pending(0, 10, receiver=Receiver.WEBHOOK)] == sent
    assert outbox.pending(0, 10) == []
    outbox.close()


_WRITER = """
import sys
from pathlib import Path
from edge.delivery.outbox import Outbox, Receiver
outbox = Outbox(Path(sys.argv[1]), 10_000, 1 << 24, receivers=Receiver.MQTT | Receiver.WEBHOOK)
for receiver in (Receiver.MQTT, Receiver.WEBHOOK):
    for row in outbox.pending(0, 1000, receiver=receiver):
        outbox.delete([row.id], receiver)
        print(receiver.value, row.id, flush=True)
"""


def test_a_kill_between_two_acknowledgements_forgets_neither(tmp_path: Path) -> None:
    """What a receiver acknowledged before the kill is not sent to it again; the other's is, once each."""
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, 10_000, 1 << 24, receivers=BOTH)
    put(outbox, "door", 1, 40)
    outbox.close()
    noted: dict[Receiver, list[int]] = {Receiver.MQTT: [], Receiver.WEBHOOK: []}
    for lines in (7, 20, 30):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
        ) as writer:
            assert writer.stdout
            for _ in range(lines):
                if line := writer.stdout.readline():
                    receiver, row_id = map(int, line.split())
                    noted[Receiver(receiver)].append(row_id)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                receiver, row_id = map(int, line.split())
                noted[Receiver(receiver)].append(row_id)
    outbox = Outbox(path, 10_000, 1 << 24, receivers=BOTH)
    for receiver, ids in noted.items():
        left = {row.id for row in outbox.pending(0, 1000, receiver=receiver)}
        assert len(ids) == len(set(ids)), "sent again after it was acknowledged"
        assert not left & set(ids)
        assert outbox.depth_of(receiver) == len(left) >= 40 - len(ids) - 3  # a kill may fall before the print
    outbox.close()


# Configuration and check


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("tiny", "the secret is too short; allowed: at least 16 bytes"),
        ("whsec_#", "what follows whsec_ is not base64"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named(tmp_path: Path, secret: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        read_hook(hook_settings(tmp_path, "https://hook.example", secret), tmp_path)
    assert secret not in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("webhook.url=https://hook.example", "'url' and 'secret_file' go together"),
        ("webhook.url=ftp://hook.example", "must be a URL in ASCII: https://host"),
        ("webhook.url=https://", "must be a URL in ASCII: https://host"),
        ("webhook.url=https://hook.example:99999", "a port from 1 to 65535"),
        ("webhook.url=https://u:hunter2@hook.example", "holds credentials"),
        ("webhook.ca_file=ca.pem", "'ca_file' needs a 'url' of https://"),
        ("webhook.timeout=31", "less than or equal to 30"),
    ],
)
def test_what_does_not_go_together_is_named(keys: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        settings(keys)
    assert "hunter2" not in str(raised.value)


def test_home_assistant_needs_a_broker() -> None:
    with pytest.raises(ConfigurationError, match=r"home_assistant\.enabled = true needs mqtt\.enabled"):
        settings("home_assistant.enabled=true", "mqtt.enabled=false")


def test_check_connects_and_posts_nothing(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    (tmp_path / "secret").write_text(SECRET)
    with HookServer(tls=tmp_path) as server:
        keys = (f"webhook.url={server.url}", "webhook.secret_file=secret", "webhook.ca_file=ca.pem")
        found = attempt("webhook", lambda: check_webhook(settings(*keys), tmp_path, SystemClock()))
    assert found.status is Status.OK, found.detail
    assert found.detail.startswith(f"https://127.0.0.1:{server.port}: connected in ")
    assert "nothing was posted" in found.detail
    assert server.posts == []
    absent = (f"webhook.url=http://127.0.0.1:{free_port()}/x", "webhook.secret_file=secret")
    found = attempt("webhook", lambda: check_webhook(settings(*absent), tmp_path, SystemClock()))
    assert found.status is Status.FAILED
    assert "cannot be reached: Connection refused" in found.detail
