"""What somebody has drawn, as a file of `conf.d` that the page owns."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from edge.bundle import sha256_of
from edge.config import CameraSettings, LineSettings, Section, Settings, ZoneSettings
from edge.config.settings import MOST_LINES, MOST_ZONES
from edge.config.tables.layers import FOLDER
from edge.config.tables.toml import read_toml
from edge.config.tables.writing import to_toml
from edge.config.validation_errors import faults
from edge.errors import ConfigurationError, OutsideError
from edge.files import write_atomically
from edge.vision.setup.words import line_in_words, zone_in_words
from edge.web.setup.tools import Configured

NAME = "90-page.toml"
"""The page's own file in `conf.d`."""

HEAD = (
    "# Lines and zones that were drawn on the page of the box (Set up). It replaces this file as a whole.\n\n"
)


class Drawing(Section):
    """The lines and zones of one camera: all that the page can change.

    version: of what was there when somebody began to draw, see `OwnFile.version`; only a draft has none.
    """

    camera: str
    version: str = ""
    lines: Annotated[tuple[LineSettings, ...], Field(strict=False, max_length=MOST_LINES)] = ()
    zones: Annotated[tuple[ZoneSettings, ...], Field(strict=False, max_length=MOST_ZONES)] = ()

    def as_table(self) -> dict[str, Any]:
        """The camera's entry in the page's file, without keys that have their defaults."""
        entry = self.model_dump(by_alias=True, exclude_defaults=True)
        lists = {"lines": entry.get("lines", []), "zones": entry.get("zones", [])}
        return {"name": self.camera, **lists}

    def in_words(self) -> list[str]:
        """What each line and zone does."""
        return [
            *(f"{line.name}: {line_in_words(line)}" for line in self.lines),
            *(f"{zone.name}: {zone_in_words(zone)}" for zone in self.zones),
        ]


def drawing_of(body: Mapping[str, Any]) -> Drawing:
    """What the browser sent. Raises ConfigurationError with a line for each fault."""
    try:
        return Drawing.model_validate(body)
    except ValidationError as error:
        raise ConfigurationError(faults(error, Drawing, "drawn")) from None


class OwnFile:
    """The page's file beside the configuration."""

    def __init__(self, configured: Configured) -> None:
        self._configured = configured
        self._guard = threading.Lock()
        file = configured.file
        self._path = file.parent / FOLDER / NAME if file else None

    @property
    def name(self) -> str | None:
        """For a person; None where nothing can be written, as there is no configuration file."""
        return f"{FOLDER}/{NAME}" if self._path else None

    def text(self, drawing: Drawing, in_force: Settings) -> str:
        """The file with this drawing in place of the camera's earlier one, without cameras that are gone.

        Raises ConfigurationError where the result is no valid configuration, or another file goes over it.
        """
        known = self._known(in_force)
        cameras = {entry["name"]: entry for entry in self._entries() if entry["name"] in known}
        cameras[drawing.camera] = drawing.as_table()
        text = HEAD + to_toml({"cameras": list(cameras.values())})
        if self._path:
            _require_in_force(self._configured.load({self._path: text}), drawing)
        else:
            _require_valid(in_force, drawing)
        return text

    def version(self, camera: CameraSettings) -> str:
        """Changes with the camera's lines and zones, in force and in the file."""
        try:
            written = [entry for entry in self._entries() if entry["name"] == camera.name]
        except ConfigurationError:  # `text` reports it
            written = []
        return sha256_of(json.dumps([drawn_on(camera), written]).encode())[:16]

    def write(self, drawing: Drawing, in_force: Settings) -> str:
        """Write the file; its path. Raises ConfigurationError as `text`, OutsideError where it cannot, and
        where the camera's lines and zones are no longer those of the drawing's version.
        """
        if self._path is None:
            raise OutsideError("the daemon has no configuration file; copy the text")
        with self._guard:
            self._require_unchanged(drawing, in_force)
            return self._write(self._path, self.text(drawing, in_force))

    def _require_unchanged(self, drawing: Drawing, in_force: Settings) -> None:
        now = {camera.name: camera for camera in in_force.cameras}.get(drawing.camera)
        if now is None or drawing.version != self.version(now):
            raise OutsideError(
                f"camera {drawing.camera!r}: its lines or zones were changed meanwhile; copy the text, load "
                "the page again and draw on what is there now"
            )

    def _known(self, in_force: Settings) -> set[str]:
        """The cameras in force, and those of the other files: one may wait for a reload."""
        others: set[str] = set()
        if self._path:
            with suppress(ConfigurationError):  # they may need what is drawn, and `text` reports the rest
                others = {camera.name for camera in self._configured.load({self._path: ""}).cameras}
        return others | {camera.name for camera in in_force.cameras}

    @staticmethod
    def _write(path: Path, text: str) -> str:
        target = path.resolve()  # a link leads to a folder that the service may write
        try:
            target.parent.mkdir(exist_ok=True)
            write_atomically(target, text)
        except OSError as error:
            raise OutsideError(f"{target}: cannot be written: {error.strerror}; copy the text") from None
        return str(target)

    def _entries(self) -> list[dict[str, Any]]:
        """The cameras in the file as it is. Raises ConfigurationError where it holds other keys."""
        if self._path is None or not self._path.exists():
            return []
        table = read_toml(self._path)
        cameras = table.get("cameras", [])
        if set(table) - {"cameras"} or not all(set(entry) <= _OWN and "name" in entry for entry in cameras):
            raise ConfigurationError(
                f"{self._path}: holds keys that the page does not write; allowed: name, lines and zones of "
                "cameras. Move the others to another file"
            )
        return list(cameras)


_OWN = {"name", "lines", "zones"}


def _require_in_force(settings: Settings, drawing: Drawing) -> None:
    """Raise ConfigurationError where the camera would not have what was drawn."""
    camera = next((one for one in settings.cameras if one.name == drawing.camera), None)
    if camera is None or (camera.lines, camera.zones) != (drawing.lines, drawing.zones):
        raise ConfigurationError(
            f"camera {drawing.camera!r}: a later file of {FOLDER}, a variable or --set goes over what is "
            "drawn; `instore-edge config show --origins` names it"
        )


def _require_valid(in_force: Settings, drawing: Drawing) -> None:
    """Raise ConfigurationError where the settings in force would not be valid with what is drawn."""
    table = in_force.model_dump(by_alias=True)
    drawn = drawing.model_dump(by_alias=True, exclude={"camera", "version"})
    table["cameras"] = [
        {**camera, **drawn} if camera["name"] == drawing.camera else camera for camera in table["cameras"]
    ]
    try:
        Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigurationError(faults(error, Settings, "drawn")) from None


def drawn_on(camera: CameraSettings) -> dict[str, Any]:
    """A camera as the page shows it."""
    table = camera.model_dump(by_alias=True, mode="json")
    return {key: table[key] for key in ("name", "roi", "lines", "zones")}
