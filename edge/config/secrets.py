"""Secrets in files: where a file is searched for, how it is read, and which look mistyped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.config.encoding import text_of
from edge.config.redaction import keep_secret
from edge.config.settings import Settings
from edge.errors import ConfigurationError
from edge.files import read_bounded

LARGEST = 1 << 16
"""The most bytes of a secret's file; tokens are the longest secrets."""


def secret_path(name: str, beside: Path) -> Path:
    """The path of a secret: absolute, else in `$CREDENTIALS_DIRECTORY`, else beside the configuration file.

    From a folder, `LoadCredential=secrets:/etc/instore-edge/secrets`, systemd loads the files as
    `secrets_NAME`, so `secrets/NAME` is searched for under that name as well.
    """
    path = Path(name)
    if path.is_absolute():
        return path
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        for loaded in (Path(credentials) / path, Path(credentials) / "_".join(path.parts)):
            if _exists(loaded):
                return loaded
    return beside / path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except ValueError:  # a NUL in the name; reading the file reports it
        return False


def read_secret(key: str, name: str, beside: Path) -> str:
    """The first line of a secret file. Raises ConfigurationError that names the key and the file."""
    path = secret_path(name, beside)
    try:
        content = read_bounded(path, LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{key} = {name!r}: {path} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise ConfigurationError(
            f"{key} = {name!r}: not a file name; allowed: a path without NUL characters"
        ) from None
    if len(content) > LARGEST:
        raise ConfigurationError(
            f"{key} = {name!r}: {path} is larger than {LARGEST} bytes; allowed: the secret in the first line"
        )
    try:
        text = text_of(content).partition("\n")[0].rstrip("\r")
    except ValueError as error:
        raise ConfigurationError(
            f"{key} = {name!r}: {path} {error}; allowed: the secret in the first line"
        ) from None
    if not text:
        raise ConfigurationError(f"{key} = {name!r}: {path} is empty; allowed: the secret in the first line")
    keep_secret(text)
    return text


def blanks_in_secrets(settings: Settings, beside: Path) -> list[str]:
    """A text for each secret that begins or ends with blanks: it is used as it is, but looks mistyped.

    Files that cannot be read are left out: the camera or the broker that needs one names it.
    """
    found = []
    for key, name in _password_files(settings):
        with suppress(ConfigurationError):
            secret = read_secret(key, name, beside)
            if secret != secret.strip():
                found.append(
                    f"{key} = {name!r}: {secret_path(name, beside)} begins or ends with a blank, "
                    "which is used as part of the secret; remove it if it does not belong there"
                )
    return found


def _password_files(settings: Settings) -> Iterator[tuple[str, str]]:
    for camera in settings.cameras:
        if camera.password_file:
            yield f"camera {camera.name!r}: password_file", camera.password_file
    if settings.mqtt.password_file:
        yield "mqtt.password_file", settings.mqtt.password_file
    if settings.webhook.secret_file:
        yield "webhook.secret_file", settings.webhook.secret_file
    if settings.mqtt.proxy_password_file:
        yield "mqtt.proxy_password_file", settings.mqtt.proxy_password_file
    if settings.web.password_file:
        yield "web.password_file", settings.web.password_file
