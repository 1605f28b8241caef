"""Both brokers for real: a message goes there and back, and both leave nothing behind."""

from __future__ import annotations

import importlib.metadata
import os
import queue
import socket
import subprocess
import sys
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.clock import SystemClock
from edge.commands.demo import broker as demo_broker
from edge.commands.demo.broker import Broker, start_amqtt, start_broker, start_mosquitto
from edge.errors import BrokerError
from tests.fakes import ManualClock
from tests.patience import PATIENCE


def round_trip(broker: Broker) -> bytes:
    """Subscribe, publish with QoS 1, and give back what arrived."""
    arrived: queue.Queue[bytes] = queue.Queue()
    version = MQTTProtocolVersion.MQTTv5 if broker.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.on_connect = lambda client, *_: client.subscribe("instore/#", qos=1)
    client.on_subscribe = lambda client, *_: client.publish("instore/demo/hall/counts", b"3", qos=1)
    client.on_message = lambda _client, _data, message: arrived.put(bytes(message.payload))
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        return arrived.get(timeout=PATIENCE)
    finally:
        client.disconnect()
        client.loop_stop()


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_mosquitto_carries_a_message_and_stops(tmp_path, capfd):
    with start_broker(tmp_path) as broker:
        assert broker.kind.startswith("mosquitto ")
        assert broker.kind.split()[1][0].isdigit()
        assert broker.protocol == "5"
        assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
        assert round_trip(broker) == b"3"
    assert nobody_listens(broker.port)
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} <= {"mosquitto.conf", "mosquitto.log"}


def test_the_terminal_s_ctrl_c_does_not_reach_mosquitto(tmp_path):
    with start_broker(tmp_path):
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        (mosquitto,) = [int(pid) for pid in children if "mosquitto" in Path(f"/proc/{pid}/comm").read_text()]
        assert os.getpgid(mosquitto) != os.getpgrp()


def test_amqtt_stands_in_where_mosquitto_is_missing(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(demo_broker, "find_mosquitto", lambda: None)
    with start_broker(tmp_path) as broker:
        assert broker.kind.startswith("amqtt ")
        assert broker.kind.endswith(" (embedded)")
        assert broker.protocol == "3.1.1"
        assert round_trip(broker) == b"3"
    assert nobody_listens(broker.port)
    assert not [thread for thread in threading.enumerate() if thread.name == "demo-broker"]
    assert capfd.readouterr() == ("", "")


def test_amqtt_says_nothing_when_a_client_stays_or_just_hangs_up():
    """In a process of its own: asyncio complains only when its loop is collected."""
    program = """
import socket
from edge.clock import SystemClock
from edge.commands.demo.broker import start_amqtt
with start_amqtt(SystemClock()) as broker:
    socket.create_connection((broker.host, broker.port)).close()
    stays = socket.create_connection((broker.host, broker.port))
    stays.sendall(bytes.fromhex("100d00044d515454040200000001 61".replace(" ", "")))
    assert stays.recv(4) == bytes.fromhex("20020000"), "no CONNACK"
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_broker_goes_when_the_demo_fails():
    with pytest.raises(RuntimeError, match="the demo"), start_amqtt(SystemClock()) as broker:
        raise RuntimeError("the demo")
    assert nobody_listens(broker.port)


def test_a_mosquitto_that_ends_at_once_is_named_with_its_last_words(tmp_path):
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho 'Error: out of luck'\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(BrokerError, match="mosquitto does not start: Error: out of luck"):  # noqa: SIM117
        with start_mosquitto(str(program), tmp_path, SystemClock()):
            pytest.fail("it cannot have started")


def test_a_mosquitto_that_never_listens_is_given_up(tmp_path):
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    clock = ManualClock()
    with (
        pytest.raises(BrokerError, match="it printed nothing"),
        start_mosquitto(str(program), tmp_path, clock),
    ):
        pytest.fail("it cannot have started")
    assert 10 <= clock.monotonic() < 11


def test_no_broker_at_all_says_what_to_install(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(demo_broker, "find_mosquitto", lambda: None)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(BrokerError, match=r"install mosquitto, or the extra instore-analytics\[demo\]"):  # noqa: SIM117
        with start_broker(tmp_path):
            pytest.fail("there is none")


def test_two_brokers_do_not_meet(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with start_broker(folders[0]) as one, start_broker(folders[1]) as other:
        assert one.port != other.port
