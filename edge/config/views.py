"""Cameras that may see the same visitors without being declared as one group."""

from __future__ import annotations

from urllib.parse import urlsplit

from edge.config.settings import CameraSettings, Settings


def shared_hosts(settings: Settings) -> dict[str, tuple[str, ...]]:
    """By host, or by device or file: the cameras on it, where they are several and not all of one group."""
    cameras: dict[str, list[CameraSettings]] = {}
    for camera in settings.cameras:
        cameras.setdefault(_host(camera.source), []).append(camera)
    return {
        host: tuple(camera.name for camera in found)
        for host, found in cameras.items()
        if len({camera.group or f"/{camera.name}" for camera in found}) > 1
    }


def shared_host_warning(host: str, cameras: tuple[str, ...]) -> str:
    """For a person: what may be wrong, and what to do."""
    names = ", ".join(cameras)
    return (
        f"cameras {names} are on one host, {host}: "
        "if they can see the same visitors, name them in one 'group'"
    )


def _host(source: str) -> str:
    """The host of a URL, in lower case, with brackets for IPv6; a device or a file stands for itself."""
    host = (urlsplit(source).hostname if "://" in source else None) or source
    return f"[{host}]" if "://" in source and ":" in host else host
