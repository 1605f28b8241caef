"""Files of conf.d over config.toml: what wins, and what a message names."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from edge.config import Settings, load_settings
from edge.config.load import Loaded, load
from edge.errors import ConfigurationError

BASE = """
site = "store-7"
[[cameras]]
name = "door"
source = "rtsp://192.0.2.10/1"
[[cameras.lines]]
name = "in"
from = [0.1, 0.5]
to = [0.9, 0.5]
[[cameras.zones]]
name = "till"
role = "area"
polygon = [[0.0, 0.5], [0.3, 0.5], [0.3, 1.0]]
[mqtt]
host = "a"
prefix = "p"
"""


class Box:
    """A folder with config.toml and conf.d."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.toml"
        self.further = folder / "conf.d"
        self.path.write_text(BASE.lstrip())
        self.further.mkdir()

    def add(self, name: str, text: str) -> None:
        (self.further / name).write_text(text)

    def load(self, *overrides: str, **environment: str) -> Loaded:
        return load(self.path, overrides, environment=environment)

    @property
    def settings(self) -> Settings:
        return load_settings(self.path)

    def fault(self, *overrides: str, **environment: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            self.load(*overrides, **environment)
        return str(caught.value).replace(f"{self.path.parent}/", "")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


class TestWhatWins:
    def test_later_files_go_over_earlier_ones_key_by_key(self, box: Box) -> None:
        box.add("20-group.toml", "[mqtt]\nhost = 'c'")
        box.add("10-fleet.toml", "[mqtt]\nhost = 'b'\nport = 1884\n[privacy]\nminimum = 7")
        mqtt = box.settings.mqtt
        assert (mqtt.host, mqtt.port, mqtt.prefix) == ("c", 1884, "p")
        assert box.settings.privacy.minimum == 7

    def test_a_camera_is_merged_by_its_name_and_a_new_name_adds_one(self, box: Box) -> None:
        box.add(
            "1.toml", "[[cameras]]\nname = 'exit'\nsource = '0'\n[[cameras]]\nname = 'door'\nmax_fps = 5.0"
        )
        door, further = box.settings.cameras
        assert (door.name, door.max_fps, door.source) == ("door", 5.0, "rtsp://192.0.2.10/1")
        assert [zone.name for zone in door.zones] == ["till"]
        assert further.name == "exit"

    def test_what_is_drawn_on_a_camera_is_replaced_as_a_whole(self, box: Box) -> None:
        box.add("1.toml", "[[cameras]]\nname = 'door'\nzones = []")
        (door,) = box.settings.cameras
        assert (door.zones, [line.name for line in door.lines]) == ((), ["in"])

    def test_a_site_that_is_a_name_stays_the_name(self, box: Box) -> None:
        box.add("1.toml", "[site]\ntimezone = 'Europe/Paris'")
        assert (box.settings.site.name, box.settings.site.timezone) == ("store-7", "Europe/Paris")

    def test_variables_and_options_go_over_all_files(self, box: Box) -> None:
        box.add("1.toml", "[mqtt]\nhost = 'b'\nprefix = 'q'")
        mqtt = box.load("mqtt.host=line", INSTORE_MQTT__HOST="v", INSTORE_MQTT__PREFIX="w").settings.mqtt
        assert (mqtt.host, mqtt.prefix) == ("line", "w")

    def test_hidden_files_and_other_files_are_left_out(self, box: Box) -> None:
        box.add(".draft.toml", "[mqtt]\nhost = 'b'")
        box.add("1.toml~", "[mqtt]\nhost = 'c'")
        assert box.settings.mqtt.host == "a"

    def test_a_pipe_is_not_waited_for(self, box: Box) -> None:
        os.mkfifo(box.further / "1.toml")
        assert box.fault() == "conf.d/1.toml: is a pipe or a device; allowed: a file"

    def test_a_link_to_the_null_device_turns_a_file_off(self, box: Box) -> None:
        (box.further / "1.toml").symlink_to(os.devnull)
        assert box.settings.mqtt.host == "a"

    def test_a_file_that_is_removed_after_the_folder_was_listed_is_left_out(
        self, box: Box, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "gone.toml"]))
        assert box.settings.mqtt.host == "a"

    def test_a_configuration_without_the_folder_is_as_it_was(self, box: Box) -> None:
        box.further.rmdir()
        assert box.settings.mqtt.host == "a"


STRANGER = 54321
"""The id of a user who owns nothing here."""

DRAWING = "[[cameras]]\nname = 'door'\nlines = []\n"


class TestOwners:
    """A file of another user could send the broker's password elsewhere."""

    @pytest.fixture
    def strange(self, box: Box, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
        """Paths that belong to the stranger; a link is another path than its target."""

        def owned(path: Path, status: os.stat_result) -> os.stat_result:
            fields = list(status)
            fields[stat.ST_UID] = STRANGER if path in found else fields[stat.ST_UID]
            return os.stat_result(fields)

        found: set[Path] = set()
        monkeypatch.setattr(Path, "lstat", lambda path: owned(path, os.lstat(path)))
        by_path, by_file = os.stat, os.fstat
        monkeypatch.setattr(Path, "stat", lambda path, **_: owned(path, by_path(path)))
        opened = "/proc/self/fd/{}".format
        monkeypatch.setattr(os, "fstat", lambda file: owned(Path(opened(file)).readlink(), by_file(file)))
        return found

    def test_a_file_of_another_user_is_refused_by_name(self, box: Box, strange: set[Path]) -> None:
        box.add("1.toml", DRAWING)
        assert box.settings.cameras[0].lines == ()
        strange.add(box.further / "1.toml")
        assert box.fault().startswith(f"conf.d/1.toml: belongs to the user with the id {STRANGER}; allowed: ")

    def test_a_folder_of_another_user_is_refused(self, box: Box, strange: set[Path]) -> None:
        box.add("1.toml", DRAWING)
        strange.add(box.further)
        assert box.fault().startswith("conf.d: belongs to the user with the id")

    def test_files_of_the_owner_of_the_first_file_are_read(self, box: Box, strange: set[Path]) -> None:
        box.add("1.toml", "[mqtt]\nhost = 'b'")
        strange.update({box.path, box.further, box.further / "1.toml"})
        assert box.settings.mqtt.host == "b"

    @pytest.mark.parametrize("name", ["conf.d", "conf.d/1.toml"])
    def test_what_every_user_may_write_is_refused(self, box: Box, name: str) -> None:
        box.add("1.toml", DRAWING)
        path = box.path.parent / name
        path.chmod(path.stat().st_mode | stat.S_IWOTH)
        assert box.fault() == f"{name}: can be written by every user; allowed: mode o-w"

    def test_a_link_may_lead_to_lines_and_zones_of_another_user(self, box: Box, strange: set[Path]) -> None:
        target = box.path.parent / "page.toml"
        target.write_text(DRAWING)
        (box.further / "1.toml").symlink_to(target)
        strange.add(target)
        assert box.settings.cameras[0].lines == ()

    @pytest.mark.parametrize(
        "text",
        [
            "[mqtt]\nhost = 'b'",
            "[[cameras]]\nname = 'door'\nsource = 'rtsp://192.0.2.66/1'",
            "cameras = 5",
            "[cameras]\nsource = '0'",
        ],
    )
    def test_a_link_may_lead_to_nothing_else_of_another_user(
        self, box: Box, strange: set[Path], text: str
    ) -> None:
        target = box.path.parent / "page.toml"
        target.write_text(text)
        (box.further / "1.toml").symlink_to(target)
        strange.add(target)
        says = box.fault()
        assert says.startswith("conf.d/1.toml: belongs to the user with the id")
        assert says.endswith("or a file with lines and zones of cameras alone")

    def test_a_link_of_another_user_is_refused(self, box: Box, strange: set[Path]) -> None:
        (box.further / "1.toml").symlink_to(box.path)
        strange.add(box.further / "1.toml")
        assert box.fault().startswith("conf.d/1.toml: belongs to the user with the id")

    def test_a_link_to_nothing_is_named(self, box: Box) -> None:
        (box.further / "1.toml").symlink_to(box.further / "not-there")
        assert box.fault() == "conf.d/1.toml: cannot be read: No such file or directory"

    def test_a_link_into_a_private_folder_is_named(self, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
        """As of a service with a user of its own, for those who run a command beside it."""
        link = box.further / "1.toml"
        link.symlink_to(box.path.parent / "private" / "page.toml")
        refuse = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        read = os.open

        def opened(path: Path, *how: int) -> int:
            if path == link:
                raise refuse
            return read(path, *how)

        def exists(path: Path) -> bool:
            raise refuse

        monkeypatch.setattr("edge.files.os.open", opened)
        monkeypatch.setattr(Path, "exists", exists)
        assert box.fault() == "conf.d/1.toml: cannot be read: Permission denied"


class TestMessages:
    """They name the file and the line."""

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[mqtt]\n\nport = 0", "conf.d/1.toml:3: mqtt.port = 0"),
            ("[mqtt]\nprot = 1", "conf.d/1.toml:2: mqtt.prot: unknown key; did you mean 'port'"),
            ("[[cameras]]\nname = 'door'\nmax_fps = 0", "conf.d/1.toml:3: cameras[0].max_fps = 0"),
            ("[[cameras]]\nname = 'dor'\nmax_fps = 5", "conf.d/1.toml:1: cameras[1].source: is missing"),
            ("cameras = 5", "conf.d/1.toml:1: cameras = 5: must be a list"),
            ("cameras = [5]", "conf.d/1.toml:1: cameras[1]"),
            (
                "[[cameras]]\nname='e'\nsource='0'\n[[cameras]]\nname='e'\nsource='1'",
                "two cameras are named 'e'",
            ),
            ("[site]\nname = ''", "conf.d/1.toml:2: site.name = ''"),
            ("[mqtt]\nport = ", "conf.d/1.toml: is not valid TOML"),
        ],
    )
    def test_of_a_file_of_the_folder(self, box: Box, text: str, says: str) -> None:
        box.add("1.toml", text)
        assert says in box.fault()

    def test_of_the_file_where_another_one_is_right(self, box: Box) -> None:
        box.path.write_text(box.path.read_text().replace("polygon = [[0.0, 0.5], ", "polygon = ["))
        box.add("1.toml", "[[cameras]]\nname = 'door'\nmax_fps = 5")
        assert box.fault().startswith("config.toml:12: cameras[0].zones[0].polygon = ")

    def test_of_the_last_list_where_two_files_have_it(self, box: Box) -> None:
        box.add("1.toml", "[[cameras]]\nname = 'door'\n[[cameras.lines]]\nfrom = [0.1, 0.1]\nto = [0.9, 0.1]")
        assert box.fault().startswith("conf.d/1.toml:3: cameras[0].lines[0].name: is missing")

    def test_of_a_variable_and_an_option_and_not_of_the_file_below(self, box: Box) -> None:
        assert box.fault(INSTORE_MQTT__PORT="0").startswith("INSTORE_MQTT__PORT: mqtt.port = 0")
        assert box.fault("mqtt.port=0").startswith("--set mqtt.port: mqtt.port = 0")
        assert box.fault("cameras.door.max_fps=0").startswith("--set cameras.door.max_fps: cameras[0]")

    def test_of_too_many_files(self, box: Box) -> None:
        for number in range(101):
            box.add(f"{number}.toml", "")
        assert "conf.d: holds 101 files; allowed: at most 100" in box.fault()


def test_the_origin_of_each_key_is_known(box: Box) -> None:
    box.add("1.toml", "[[cameras]]\nname = 'exit'\nsource = '0'\n[[cameras]]\nname = 'door'\nmax_fps = 5.0")
    loaded = box.load("privacy.minimum=4", INSTORE_BOX="edge-3")
    folder = box.path.parent
    assert loaded.origin(("site", "name")) == f"{folder}/config.toml:1"
    assert loaded.origin(("cameras", 0, "max_fps")) == f"{folder}/conf.d/1.toml:6"
    assert loaded.origin(("cameras", 0, "source")) == f"{folder}/config.toml:4"
    assert loaded.origin(("cameras", 0, "zones", 0, "role")) == f"{folder}/config.toml:11"
    assert loaded.origin(("cameras", 1, "source")) == f"{folder}/conf.d/1.toml:3"
    assert loaded.origin(("privacy", "minimum")) == "--set privacy.minimum"
    assert loaded.origin(("box",)) == "INSTORE_BOX"
    assert loaded.origin(("mqtt", "port")) == ""
