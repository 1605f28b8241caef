"""The table `[mqtt]`: brokers by URL, and what does not go together."""

from __future__ import annotations

from typing import Any

import pytest

from edge.config import Broker, load_settings
from edge.config.fields import host_and_port
from edge.config.mqtt import MqttSettings
from edge.errors import ConfigurationError

CAMERA = {"name": "door", "source": "0"}


def mqtt(**keys: Any) -> MqttSettings:
    return load_settings(None, instead={"cameras": [CAMERA], "mqtt": keys}).mqtt


def fault(**keys: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        mqtt(**keys)
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "broker", "name"),
    [
        ("mqtt://b", Broker("b", 1883), "mqtt://b:1883"),
        ("mqtts://b", Broker("b", 8883, tls=True), "mqtts://b:8883"),
        ("MQTTS://b:443/", Broker("b", 443, tls=True), "mqtts://b:443"),
        ("ws://b", Broker("b", 80, path="/mqtt"), "ws://b:80/mqtt"),
        (
            "wss://[2001:db8::1]:9001/a/b",
            Broker("2001:db8::1", 9001, True, "/a/b"),
            "wss://[2001:db8::1]:9001/***",
        ),
        ("wss://b/", Broker("b", 443, True, "/"), "wss://b:443/"),
    ],
)
def test_a_url_names_host_port_tls_and_path(url: str, broker: Broker, name: str) -> None:
    settings = mqtt(url=url)
    assert settings.brokers == (broker,)
    assert broker.name == name
    assert settings.address == host_and_port(broker.host, broker.port)


def test_without_a_url_host_port_and_tls_count() -> None:
    assert mqtt(host="b", port=8883, tls=True).brokers == (Broker("b", 8883, tls=True),)


def test_further_brokers_come_in_order() -> None:
    settings = mqtt(host="a", failover=["mqtt://b", "ws://c/x"])
    assert [broker.host for broker in settings.brokers] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"url": "http://b"}, ["mqtt.url = 'http://b'", "mqtt://host[:port]", "wss://host[:port][/path]"]),
        ({"url": "b:1883"}, ["must be the URL of a broker"]),
        ({"url": "mqtt://"}, ["a host's name or address"]),
        ({"url": "mqtt://b:99999"}, ["a port from 1 to 65535"]),
        ({"url": "mqtt://b/path"}, ["must be the URL of a broker"]),
        ({"url": "wss://b/mqtt?token=1"}, ["must be the URL of a broker"]),
        ({"url": "wss://b/a b"}, ["printable ASCII"]),
        ({"url": "mqtts://b", "host": "c"}, ["'url' replaces 'host', 'port' and 'tls'"]),
        ({"url": "mqtts://b", "tls": True}, ["'url' replaces 'host', 'port' and 'tls'"]),
        ({"url": "ws://b", "ca_file": "ca.pem"}, ["need 'tls = true', or a 'url' of mqtts:// or wss://"]),
        ({"alpn": "mqtt"}, ["need 'tls = true'"]),
        ({"url": "mqtts://b", "alpn": "a b"}, ["mqtt.alpn = 'a b'", "name of one protocol"]),
        ({"url": "mqtts://b", "failover": ["mqtt://c"]}, ["'failover': TLS for all brokers or for none"]),
        ({"host": "b", "failover": ["mqtt://b"]}, ["'failover': a broker is named twice"]),
        ({"failover": [""]}, ["mqtt.failover[0] = ''", "must be the URL of a broker"]),
        ({"failover": ["mqtt://a", "mqtt://b", "mqtt://c", "mqtt://d"]}, ["at most 3 entries"]),
        ({"proxy": "socks5://p:1080"}, ["mqtt.proxy", "HTTP proxy with its port"]),
        ({"proxy": "http://p"}, ["HTTP proxy with its port"]),
        ({"proxy_username": "u"}, ["'proxy_username' needs a 'proxy'"]),
        (
            {"proxy": "http://p:1", "proxy_password_file": "x"},
            ["'proxy_password_file' needs a 'proxy_username'"],
        ),
        ({"client_id": "a b"}, ["mqtt.client_id = 'a b'", "without blanks"]),
        ({"client_id": "x" * 129}, ["at most 128 bytes"]),
        ({"prefix": "a//b"}, ["mqtt.prefix = 'a//b'", "1 to 5 MQTT topic levels"]),
        ({"prefix": "a/+/b"}, ["1 to 5 MQTT topic levels"]),
        ({"prefix": "a/b/c/d/e/f"}, ["1 to 5 MQTT topic levels"]),
        ({"topic": "{box}/{levels}"}, ["{box} stands for nothing; allowed: {client_id}, {prefix}"]),
        ({"topic": "a/#/{levels}"}, ["without '+', '#' and single braces"]),
        ({"topic": "a/{levels"}, ["without '+', '#' and single braces"]),
        ({"topic": ""}, ["must be an MQTT topic"]),
        ({"topic": "a\x96b/{levels}"}, ["must be an MQTT topic"]),
        ({"client_id": "a\x96b"}, ["mqtt.client_id = 'a\\x96b'", "control characters"]),
        ({"topic": "{source}/{message}"}, ["retained messages would replace each other"]),
        ({"topic": "{client_id}/{levels}"}, ["{client_id} in 'topic' needs a 'client_id'"]),
    ],
)
def test_what_does_not_go_together_is_named(keys: dict[str, Any], words: list[str]) -> None:
    text = fault(**keys)
    assert text.count("\n") == 0
    for word in words:
        assert word in text


@pytest.mark.parametrize("key", ["url", "proxy"])
@pytest.mark.parametrize(
    "value", ["mqtts://u:hunter2@b", "http://u:hunter2@p:1", "wss://u:hun#ter2@b/mqtt", "wss:/u:hunter2@b"]
)
def test_a_password_in_a_url_is_refused_and_masked(key: str, value: str) -> None:
    text = fault(**{key: value})
    assert "hunter2" not in text
    assert "ter2" not in text


def test_a_password_in_a_further_brokers_url_is_refused_and_masked() -> None:
    assert "hunter2" not in fault(failover=["mqtts://u:hunter2@b"])


def test_a_template_without_retained_messages_may_join_topics() -> None:
    assert mqtt(topic="devices/{client_id}/messages/events/", client_id="e", retain=False).retain is False
