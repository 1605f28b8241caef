"""Announcements to Home Assistant: what they say, when they are sent, and when they are taken back.

`home_assistant_golden.json` holds announcements that Home Assistant's own schema has accepted, with the
values that its templates give for sample messages: `make home-assistant` asks it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.publish import single

from edge.config import Settings
from edge.delivery import Topics
from edge.delivery.connection import MOST_RECEIVED
from edge.delivery.home_assistant import announcements
from edge.delivery.outbox import Outbox
from edge.delivery.session import Session
from edge.types import CameraState
from tests.fakes import settings
from tests.mosquitto import Mosquitto, Subscriber
from tests.publishing import Running, status

GOLDEN = Path(__file__).with_name("home_assistant_golden.json")
ON = "home_assistant.enabled=true"


def configured(*overrides: str) -> Settings:
    return settings(ON, "windows.brackets=['0-17', '18+']", *overrides)


def made(configured: Settings, earlier: dict[str, bytes] | None = None) -> dict[str, Any]:
    found = announcements(configured, Topics.of(configured), earlier)
    return {topic: json.loads(payload) for topic, payload in found.items()}


def components(announced: dict[str, Any]) -> list[dict[str, Any]]:
    return [component for payload in announced.values() for component in payload["components"].values()]


def test_it_is_off_by_default() -> None:
    assert made(settings()) == {}
    assert Topics.of(settings()).birth == ""


def test_they_are_those_that_home_assistant_has_accepted() -> None:
    """After a change, run `make home-assistant`, which asks Home Assistant and shows what differs."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert made(configured()) == golden["announcements"]
    assert next(iter(golden["announcements"])).endswith("/instore_box_box/config")
    assert golden["shown"].keys() == {
        component["unique_id"] for component in components(golden["announcements"])
    }


def test_each_value_is_of_a_retained_topic() -> None:
    configured_, topics = configured(), Topics.of(configured())
    camera, zone = configured_.cameras[0].name, configured_.cameras[0].zone
    retained = {topics.box_status, topics.box_today, topics.camera_status(camera)}
    retained |= {topics.today(camera, zone), topics.latest(camera, zone)}
    assert {component["state_topic"] for component in components(made(configured_))} == retained


def test_values_follow_other_names_of_topics() -> None:
    announced = made(configured("mqtt.topic=shop/{levels}"))
    assert {component["state_topic"].split("/")[0] for component in components(announced)} == {"shop"}


def test_each_zone_of_a_camera_has_a_day_of_its_own() -> None:
    zones = "[{name='till', role='queue', polygon=[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]}]"
    found = components(made(configured(f"cameras=[{{name='a', source='0', zones={zones}}}]")))
    days = [one["state_topic"] for one in found if one["name"].startswith("Visitors today")]
    assert [topic.split("/")[-2] for topic in days] == ["box", "till", "rest"]
    assert len({one["unique_id"] for one in found}) == len(found)


def test_a_camera_without_ages_has_its_state_alone() -> None:
    cameras = "cameras=[{name='a', source='0', group='g'}, {name='b', source='1', group='g', ages=false}]"
    announced = made(configured(cameras))
    assert list(announced["homeassistant/device/store/instore_camera_b/config"]["components"]) == ["state"]


def test_names_of_any_letters_are_told_apart() -> None:
    topics = Topics("instore", "Köln 1", "box", home_assistant="homeassistant")
    one, other = topics.camera_announcement("tür.1"), topics.camera_announcement("tür 1")
    assert one != other
    assert one.isascii()
    assert " " not in one + other
    assert "." not in one + other


def test_the_entities_of_a_former_bracket_are_taken_back_once() -> None:
    before = configured("windows.brackets=['0-12', '13+']")
    earlier = announcements(before, Topics.of(before))
    now = made(configured(), earlier)
    box = now["homeassistant/device/store/instore_box_box/config"]["components"]
    assert box["age_0_12"] == {"platform": "sensor"}
    again = made(configured(), {topic: json.dumps(payload).encode() for topic, payload in now.items()})
    assert again == made(configured())


def test_they_are_sent_again_at_the_birth_and_taken_back_with_the_camera(
    tmp_path: Path, outbox: Outbox
) -> None:
    configured_ = configured()
    topics = Topics.of(configured_)
    camera = configured_.cameras[0].name
    outbox.commit(retained=announcements(configured_, topics))
    mine = topics.camera_announcement(camera)
    with (
        Mosquitto(tmp_path) as broker,
        Subscriber(broker, "#") as subscriber,
        Running(broker, outbox, tmp_path, home_assistant="homeassistant") as running,
    ):
        running.publisher.camera_status(status(camera, CameraState.UP))
        subscriber.wait_for_topic(mine)
        subscriber.wait_for_topic(topics.box_announcement)
        single(topics.birth, "offline", qos=1, hostname=broker.host, port=broker.port)
        single(topics.birth, "online", qos=1, hostname=broker.host, port=broker.port)
        assert len(set(subscriber.wait_for_topic(mine, 2))) == 1
        assert len(subscriber.wait_for_topic(topics.camera_status(camera), 2)) == 2
        running.publisher.forget_camera(camera)
        subscriber.wait_for_topic(mine, 3)
        running.stop()
        with Subscriber(broker, "homeassistant/#") as later:
            later.wait_for(lambda messages: len(messages) >= 1)
    assert subscriber.on(mine)[-1] == b""
    assert [message.topic for message in later.messages] == [topics.box_announcement]


def test_a_huge_message_on_the_topic_of_the_birth_is_not_taken(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    born = Session._born

    def noted(session: Session, payload: bytes) -> None:
        heard.append(len(payload))
        born(session, payload)

    monkeypatch.setattr(Session, "_born", noted)
    configured_ = configured()
    topics = Topics.of(configured_)
    outbox.commit(retained=announcements(configured_, topics))
    with (
        Mosquitto(tmp_path) as broker,
        Subscriber(broker, topics.box_announcement) as subscriber,
        Running(broker, outbox, tmp_path, home_assistant="homeassistant"),
    ):
        subscriber.wait_for_topic(topics.box_announcement)
        for payload in (bytes(MOST_RECEIVED), "online"):
            single(topics.birth, payload, qos=1, hostname=broker.host, port=broker.port)
        subscriber.wait_for_topic(topics.box_announcement, 2)
    assert heard == [len("online")]


def test_turned_off_they_are_taken_back(tmp_path: Path, outbox: Outbox) -> None:
    configured_ = configured()
    topics = Topics.of(configured_)
    outbox.commit(retained=announcements(configured_, topics))
    with Mosquitto(tmp_path) as broker, Subscriber(broker, "homeassistant/#") as subscriber:
        with Running(broker, outbox, tmp_path, home_assistant="homeassistant"):
            subscriber.wait_for_topic(topics.box_announcement)
        with Running(broker, outbox, tmp_path):
            subscriber.wait_for_topic(topics.box_announcement, 2)
    assert subscriber.on(topics.box_announcement)[-1] == b""
