"""Keys set by environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.config import CameraSettings, Settings, load_settings
from edge.config.environment import ignored
from edge.errors import ConfigurationError

CAMERAS: list[dict[str, Any]] = [
    {"name": "back-door", "source": "rtsp://192.0.2.10/"},
    {"name": "Kasse 1", "source": "rtsp://192.0.2.11/"},
]


def load(**variables: str) -> Settings:
    environment = {f"INSTORE_{name}": value for name, value in variables.items()}
    return load_settings(None, beneath={"cameras": CAMERAS}, environment=environment)


def fault(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**variables)
    return str(caught.value)


def test_a_variable_sets_the_key_that_it_is_named_after() -> None:
    settings = load(BOX="b", MQTT__HOST="::1", MQTT__TLS="true", WINDOWS__BRACKETS="['0-17', '18+']")
    assert (settings.box, settings.mqtt.host, settings.mqtt.tls) == ("b", "::1", True)
    assert settings.windows.brackets == ("0-17", "18+")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_table_has_variables(name: str) -> None:
    table = load().model_dump(mode="json")[name]
    if isinstance(table, dict):
        for key, value in table.items():
            if isinstance(value, bool | int | float | str):
                text = str(value).lower() if isinstance(value, bool) else f"{value!r}"
                variable = f"{name}__{key}".upper()
                assert load(**{variable: text}) == load(), variable


def test_a_camera_goes_by_its_number_or_its_name() -> None:
    settings = load(CAMERAS__0__MAX_FPS="5", CAMERAS__KASSE_1__ZONE="till", CAMERAS__BACK_DOOR__ROTATION="90")
    assert settings.cameras == (
        CameraSettings(**CAMERAS[0], max_fps=5.0, rotation=90),
        CameraSettings(**CAMERAS[1], zone="till"),
    )


def test_the_whole_list_comes_before_its_entries() -> None:
    settings = load(CAMERAS__NEW__SOURCE="'0'", CAMERAS="[{name = 'new', source = '1'}]")
    assert settings.cameras == (CameraSettings(name="new", source="0"),)


def test_it_lies_over_the_file_and_under_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("box = 'file'\n[mqtt]\nhost = 'file'\n[[cameras]]\nname = 'door'\nsource = '0'\n")
    variables = {"INSTORE_MQTT__HOST": "variable", "INSTORE_BOX": "variable", "MQTT__HOST": "other"}
    settings = load_settings(path, ["mqtt.host=line"], environment=variables)
    assert (settings.mqtt.host, settings.box) == ("line", "variable")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MQTT_HOST", "x", "INSTORE_MQTT_HOST: unknown key; allowed: the table and the key with two"),
        ("MQTT__HOTS", "x", "INSTORE_MQTT__HOTS: mqtt.hots: unknown key; did you mean 'host'?"),
        ("MQTT__PORT", "0", "INSTORE_MQTT__PORT: mqtt.port = 0: must be greater"),
        ("MQTT", "5", "INSTORE_MQTT: mqtt = 5: must be a table"),
        ("CAMERAS__1__SOURCE", "rtsp://u:hunter2@h/", "INSTORE_CAMERAS__1__SOURCE: cameras[1].source = 'rtsp://***@"),
        ("CAMERAS__2__ZONE", "x", "INSTORE_CAMERAS__2__ZONE: there is no entry '2'"),
        ("CAMERAS__0", "x", "INSTORE_CAMERAS__0: name a key of the entry"),
        ("CAMERAS", "[{}]", "INSTORE_CAMERAS: cameras[0].name: is missing"),
        ("MQTT_PORT", "8883", "INSTORE_MQTT_PORT: unknown key; allowed: the table and the key with two"),
        ("CAMERAS_0_SOURCE", "x", "INSTORE_CAMERAS_0_SOURCE: unknown key"),
        ("MQT__HOST", "x", "INSTORE_MQT__HOST: unknown key"),
        ("MQTT__PORT_80_TCP", "x", "INSTORE_MQTT__PORT_80_TCP: mqtt.port_80_tcp: unknown key"),
        ("MQTT__", "x", "INSTORE_MQTT__: mqtt.: unknown key"),
    ],
)  # fmt: skip
def test_a_fault_names_the_variable(name: str, value: str, says: str) -> None:
    assert fault(**{name: value}).startswith(says)


def test_a_name_that_two_cameras_have_is_refused() -> None:
    cameras = "[{name = 'back-door', source = '0'}, {name = 'back.door', source = '1'}]"
    assert fault(CAMERAS=cameras, CAMERAS__BACK_DOOR__ZONE="x").endswith(
        "several cameras have this name; use a number from 0"
    )


@pytest.mark.parametrize("service", ["", "EDGE_", "MQTT_", "BROKER_2_"])
def test_what_kubernetes_sets_beside_a_service_named_instore_is_no_key(service: str) -> None:
    address = "tcp://10.0.0.11:9108"
    variables = {
        "SERVICE_HOST": "10.0.0.11", "SERVICE_PORT": "9108", "SERVICE_PORT_METRICS": "9108",
        "PORT": address, "PORT_9108_TCP": address, "PORT_9108_TCP_PROTO": "tcp",
        "PORT_9108_TCP_PORT": "9108", "PORT_9108_TCP_ADDR": "10.0.0.11",
    }  # fmt: skip
    assert load(**{f"{service}{name}": value for name, value in variables.items()}) == load()
    assert ignored({f"INSTORE_{service}{name}": value for name, value in variables.items()}) == []


def test_other_programs_variables_are_ignored_and_named() -> None:
    assert load(VERSION="1.2", BOX_ID="7", EDGE_PORT="80", BOX="b").box == "b"
    variables = dict.fromkeys(
        ["INSTORE_VERSION", "INSTORE_BOX_ID", "INSTORE_", "INSTORE_BOX", "INSTORE_MQTT__HOST", "HOME"], "1"
    )
    assert ignored(variables) == ["INSTORE_", "INSTORE_BOX_ID", "INSTORE_VERSION"]


def test_a_cameras_name_goes_before_a_number() -> None:
    numbered = "[{name = '1', source = 'a'}, {name = '2', source = 'b'}, {name = '0', source = 'c'}]"
    settings = load(CAMERAS=numbered, CAMERAS__2__ZONE="two", CAMERAS__1__ZONE="one", CAMERAS__0__ZONE="nil")
    assert [camera.zone for camera in settings.cameras] == ["one", "two", "nil"]
    assignments = ["cameras.2.zone=two", "cameras.1.zone=one", "cameras.0.zone=nil"]
    by_line = load_settings(None, assignments, environment={"INSTORE_CAMERAS": numbered})
    assert by_line == settings


def test_a_fault_of_a_camera_with_a_number_for_a_name_names_its_variable() -> None:
    cameras = "[{name = '1', source = 'a'}, {name = '2', source = 'b'}]"
    said = fault(CAMERAS=cameras, CAMERAS__1__ROTATION="7")
    assert said.startswith("INSTORE_CAMERAS__1__ROTATION: cameras[0].rotation = 7")
