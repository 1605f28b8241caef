"""Secrets in files: where they are looked for, and how they are read."""

from __future__ import annotations

import os
from pathlib import Path

from edge.config.redaction import keep_secret
from edge.errors import ConfigurationError


def secret_path(name: str, beside: Path) -> Path:
    """Where a secret lies: absolute, else in `$CREDENTIALS_DIRECTORY`, else beside the configuration file.

    Of a folder, `LoadCredential=secrets:/etc/instore-edge/secrets`, systemd loads files as `secrets_NAME`:
    that is where `secrets/NAME` is looked for, too.
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
    except ValueError:  # a NUL; whoever reads it says so
        return False


def read_secret(key: str, name: str, beside: Path) -> str:
    """The first line of a secret file. Raises ConfigurationError that names the key and the file."""
    path = secret_path(name, beside)
    try:
        text = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise ConfigurationError(f"{key} = {name!r}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{key} = {name!r}: {path} is not UTF-8 text") from None
    except ValueError:  # a NUL
        raise ConfigurationError(f"{key} = {name!r}: is no name of a file") from None
    if not text:
        raise ConfigurationError(
            f"{key} = {name!r}: {path} is empty; it must hold the secret in its first line"
        )
    keep_secret(text)
    return text
