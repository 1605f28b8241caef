"""A real RTSP camera for tests: GStreamer's server, a process under the system's Python.

`RtspServer` starts it with one or more clips, each looped for as long as somebody watches; it can be
killed and started again on its port. Run as a script, this file is that process.
Debian: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{good,bad,ugly}.
"""

from __future__ import annotations

import itertools
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

SYSTEM_PYTHON = "/usr/bin/python3"
_READY_WITHIN = 120.0
_H264 = "video/x-h264,stream-format=byte-stream,alignment=au"
_ENCODER = "x264enc speed-preset=ultrafast tune=zerolatency pass=quant quantizer=16 key-int-max=25"


class RtspServer:
    """Serves clips (H.264 in .mp4 as they are, else encoded as such) at rtsp://127.0.0.1:<port>/<mount>.

    mounts: name to clip. credentials: user name and password that a client must show (Digest and Basic).
    loop: begin again at a clip's end instead of ending the stream. udp_only: refuse RTP over TCP (461).
    """

    def __init__(
        self,
        mounts: Mapping[str, Path],
        *,
        credentials: tuple[str, str] | None = None,
        loop: bool = True,
        udp_only: bool = False,
    ) -> None:
        self._task: dict[str, Any] = {
            "mounts": {name: str(path) for name, path in mounts.items()},
            "credentials": credentials,
            "loop": loop,
            "udp_only": udp_only,
            "port": 0,
        }
        self._process: subprocess.Popen[str] | None = None
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as this object lives

    @property
    def port(self) -> int:
        """The port, the same one after a restart. 0 before the first start."""
        return int(self._task["port"])

    def url(self, mount: str) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{mount}"

    def start(self) -> None:
        """Start, or start again on the same port, and wait until it listens."""
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, "-I", __file__, json.dumps(self._task)],
            stdout=subprocess.PIPE,
            stderr=self._said,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], _READY_WITHIN)
        line = self._process.stdout.readline() if readable else ""
        if not line.startswith("listening "):
            raise RuntimeError(f"the RTSP server did not start (make system-packages): {self.kill()}")
        self._task["port"] = int(line.split()[1])

    def kill(self) -> str:
        """End it at once, as a camera that loses its power; gives what it said on stderr so far."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        self._said.seek(0)
        return self._said.read()

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def serve(task: dict[str, Any]) -> None:
    """The process: build the server, say where it listens, and serve until it is killed."""
    import gi  # the system's Python has it, the project's has not

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(task["port"]))
    if task["credentials"]:
        server.set_auth(_auth(GstRtspServer, *task["credentials"]))
    mounts = server.get_mount_points()
    for name, path in task["mounts"].items():
        factory = _factory(GstRtspServer, Gst, path, task["loop"])
        if task["udp_only"]:
            gi.require_version("GstRtsp", "1.0")
            from gi.repository import GstRtsp

            factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
        if task["credentials"]:
            permissions = GstRtspServer.RTSPPermissions.new()
            for right in ("access", "construct"):
                permissions.add_permission_for_role("viewer", f"media.factory.{right}", True)
            factory.set_permissions(permissions)
        mounts.add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit(f"port {task['port']} is in use")
    sys.stdout.write(f"listening {server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


def _auth(rtsp: Any, user: str, password: str) -> Any:
    auth = rtsp.RTSPAuth.new()
    token = rtsp.RTSPToken.new()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(rtsp.RTSPAuth.make_basic(user, password), token)
    auth.add_digest(user, password, token)
    return auth


def _factory(rtsp: Any, gst: Any, path: str, loop: bool) -> Any:
    """Plays a clip's access units over and over, with time stamps that go on."""
    units, length = _access_units(gst, path)
    factory = rtsp.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        "( appsrc name=source format=time ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )

    def configure(_factory: Any, media: Any) -> None:
        source = media.get_element().get_by_name("source")
        source.set_property("caps", gst.Caps.from_string(_H264))
        position = itertools.count()

        def feed(source: Any, _length: int) -> None:
            round_, index = divmod(next(position), len(units))
            if round_ and not loop:
                source.emit("end-of-stream")
                return
            data, pts, dts = units[index]
            buffer = gst.Buffer.new_wrapped(data)
            buffer.pts, buffer.dts = pts + round_ * length, dts + round_ * length
            source.emit("push-buffer", buffer)

        source.connect("need-data", feed)

    factory.connect("media-configure", configure)
    return factory


def _access_units(gst: Any, path: str) -> tuple[list[tuple[bytes, int, int]], int]:
    """The coded pictures of a clip (bytes, pts, dts in ns) and its length in ns."""
    h264 = "qtdemux" if path.endswith(".mp4") else f"decodebin ! videoconvert ! {_ENCODER}"
    pipeline = gst.parse_launch(
        f'filesrc location="{path}" ! {h264} ! h264parse config-interval=-1 ! {_H264} '
        "! appsink name=out sync=false"
    )
    sink = pipeline.get_by_name("out")
    pipeline.set_state(gst.State.PLAYING)
    units, length = [], 0
    while sample := sink.emit("try-pull-sample", 10 * gst.SECOND):
        buffer = sample.get_buffer()
        dts = buffer.dts if buffer.dts != gst.CLOCK_TIME_NONE else buffer.pts
        units.append((buffer.extract_dup(0, buffer.get_size()), buffer.pts, dts))
        length = max(length, buffer.pts + buffer.duration)
    pipeline.set_state(gst.State.NULL)
    if not units:
        sys.exit(f"{path}: holds no H.264 and cannot be decoded")
    start = min(dts for _, _, dts in units)
    return [(data, pts - start, dts - start) for data, pts, dts in units], length - start


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
