"""The AsyncAPI document is that of the models, describes what is sent, and names every topic of the box."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.asyncapi.document import FILE, PAGE, document, text_of
from deploy.asyncapi.page import page
from edge.delivery import Topics
from edge.release.messages import MODELS

MADE = document()
SAMPLES = sorted(Path(__file__).parent.glob("golden/*/expected.jsonl"))


@pytest.mark.parametrize(
    ("file", "text"), [(FILE, text_of(MADE)), (PAGE, page(MADE))], ids=["document", "page"]
)
def test_the_files_are_up_to_date(file: Path, text: str) -> None:
    assert file.read_text(encoding="utf-8") == text, "run `make schemas`"


def test_every_topic_of_the_box_is_in_it() -> None:
    """Each property and method of `Topics` that names a topic."""
    topics = Topics("{prefix}", "{site}", "{box}")
    named = {topics.box_status, topics.box_today, topics.box_flow, topics.box_periods}
    named |= {topics.camera_status("{camera}"), topics.flow("{camera}")}
    named |= {
        kind("{camera}", "{zone}") for kind in (topics.counts, topics.latest, topics.today, topics.periods)
    }
    addresses = {channel["address"] for channel in MADE["channels"].values()}
    assert named < addresses
    assert all(address.startswith("homeassistant/") for address in addresses - named)
    for channel in MADE["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel.get("parameters", {}))


def test_every_message_is_in_it() -> None:
    assert {message["name"] for message in MADE["components"]["messages"].values()} > set(MODELS)


def test_what_is_sent_fits_it() -> None:
    lines = [
        json.loads(line) for sample in SAMPLES for line in sample.read_text(encoding="utf-8").splitlines()
    ]
    payloads: list[dict[str, Any]] = [line for line in lines if line.get("schema") in MODELS]
    assert {payload["schema"] for payload in payloads} >= {"instore.counts/2", "instore.flow/1"}
    for payload in payloads:
        message = MADE["components"]["messages"][payload["schema"].replace("/", "-")]
        jsonschema.validate(payload, {**MADE, **message["payload"]})


def test_every_link_of_the_page_leads_somewhere() -> None:
    text = page(MADE)
    anchors = {re.sub(r"[^\w-]", "", title.lower()) for title in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
