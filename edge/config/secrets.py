"""Secrets in files: where a file is searched for, and how it is read."""

from __future__ import annotations

import os
from pathlib import Path

from edge.config.redaction import keep_secret
from edge.errors import ConfigurationError


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
        text = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise ConfigurationError(f"{key} = {name!r}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{key} = {name!r}: {path} is not UTF-8 text; allowed: the secret in the first line"
        ) from None
    except ValueError:  # a NUL in the name
        raise ConfigurationError(
            f"{key} = {name!r}: not a file name; allowed: a path without NUL characters"
        ) from None
    if not text:
        raise ConfigurationError(f"{key} = {name!r}: {path} is empty; allowed: the secret in the first line")
    keep_secret(text)
    return text
