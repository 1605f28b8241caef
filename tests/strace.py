"""What a process and its children look up, connect to, write and start, as strace saw it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import PATIENCE

SENDING = ("connect", "sendto", "sendmsg", "sendmmsg")
WRITING = (
    *("open", "openat", "openat2", "creat", "truncate", "mkdir", "mkdirat", "mknod", "mknodat"),
    *(
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "unlink",
        "unlinkat",
        "rmdir",
    ),
)
STARTING = ("execve", "execveat")
ASKING = ("getsockname",)
CARRYING = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "vmsplice")

WHOLE = 1 << 24
"""More bytes than any call here carries."""

DNS = 53
_OPENED_TO_WRITE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_STRING = re.compile(r'(?:<(?P<folder>(?:\\x[0-9a-f]{2})*)>, )?"(?P<text>(?:\\x[0-9a-f]{2})*)"')
_INET = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]*)"')
_UNIX = re.compile(r'sun_path=@?"([^"]*)"')
_SOCKET = re.compile(r"^\d+<([^>]*)>")


def _tracer(out: Path, calls: Sequence[str], length: int) -> list[str]:
    """The beginning of a command line that executes the rest of it and leaves `out`.PID for each process."""
    # -xx: every string in hexadecimal; -y: the path behind each descriptor; BPF: other calls stay fast.
    options = ["-ff", "-qq", "-y", "-xx", "-s", str(length), "--seccomp-bpf"]
    return ["strace", *options, "-e", "trace=" + ",".join(f"?{name}" for name in calls), "-o", str(out)]


@dataclass
class Seen:
    """names: asked of a name server. addresses: (host, port) of everything addressed, name servers too.

    sockets: Unix sockets, absent ones too. written: files and folders that were opened to write, made,
    renamed or removed. programs: what was started, including the first. own: addresses of the processes' own
    sockets, as far as they asked for them: paho wakes its thread through a pair of sockets.
    """

    names: set[str] = field(default_factory=set)
    addresses: set[tuple[str, int]] = field(default_factory=set)
    sockets: set[str] = field(default_factory=set)
    written: set[Path] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    own: set[tuple[str, int]] = field(default_factory=set)

    @property
    def peers(self) -> set[tuple[str, int]]:
        """Addresses of others."""
        return self.addresses - self.own

    def written_outside(self, *folders: Path) -> set[Path]:
        """The written files that are in none of these folders; the kernel's devices are not counted."""
        # /proc/self/task: TensorFlow names its threads there.
        allowed = (*folders, Path("/dev/null"), Path("/dev/tty"), Path("/proc/self/task"))
        return {path for path in self.written if not any(path.is_relative_to(one) for one in allowed)}


def watch(command: Sequence[str], folder: Path, *, status: int = 0, timeout: float = PATIENCE) -> Seen:
    """What the command did, which must end with `status` within `timeout` seconds; see `_run`."""
    return read(_run(command, folder, _SEEN, 4096, status=status, timeout=timeout), folder / "here")


def watch_bytes(command: Sequence[str], folder: Path) -> bytes:
    """Every byte that the command and its children wrote or sent by a call: to files, sockets and pipes."""
    out = _run(command, folder, CARRYING, WHOLE, status=0, timeout=PATIENCE)
    lines = [line for trace in _traces(out) for line in trace.read_text("ascii").splitlines()]
    calls = [call for line in lines if (call := _CALL.match(line))]
    return b"\n".join(
        _decoded(text) for call in calls for text in re.findall(r'"([^"]*)"', call["arguments"])
    )


_SEEN = (*SENDING, *WRITING, *STARTING, *ASKING)


def _run(
    command: Sequence[str], folder: Path, calls: Sequence[str], length: int, *, status: int, timeout: float
) -> Path:
    """Run the command in the empty folder `here` of `folder`; the prefix of its traces.

    Its home folder is `home`, its TMPDIR `tmp`.
    """
    for name in ("home", "tmp", "here", "trace"):
        (folder / name).mkdir()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    ours = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    out, here = folder / "trace" / "of", folder / "here"
    done = subprocess.run(
        [*_tracer(out, calls, length), *command],
        cwd=here, env={**inherited, **ours}, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return out


def _traces(out: Path) -> list[Path]:
    return list(out.parent.glob(f"{out.name}.*"))


def read(out: Path, working_folder: Path) -> Seen:
    """What the traces with the prefix `out` tell of processes that were started in `working_folder`."""
    seen = Seen()
    for trace in _traces(out):
        _read_process(trace, working_folder, seen)
    return seen


def _read_process(trace: Path, working_folder: Path, seen: Seen) -> None:
    name_servers: set[str] = set()  # connected sockets
    for line in trace.read_text("ascii").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        name, arguments, failed = call["name"], call["arguments"], call["result"].startswith("-")
        if name in SENDING:
            _read_sending(arguments, name_servers, seen)
        elif name in ASKING:
            seen.own |= set(_internet(arguments))
        elif name in STARTING and not failed:
            seen.programs.add(_strings(arguments)[0])
        elif name in WRITING and not failed and _writes(name, arguments):
            seen.written |= {working_folder / path for path in _paths(arguments)}


def _read_sending(arguments: str, name_servers: set[str], seen: Seen) -> None:
    socket = _SOCKET.match(arguments)
    addressed = set(_internet(arguments))
    seen.addresses |= addressed
    if socket and any(port == DNS for _, port in addressed):
        name_servers.add(socket[1])
    seen.sockets |= {_decoded(path).decode() for path in _UNIX.findall(arguments)}
    if socket and socket[1] in name_servers:
        seen.names |= {
            name for text in re.findall(r'"([^"]*)"', arguments) for name in _asked(_decoded(text))
        }


def _internet(arguments: str) -> Iterator[tuple[str, int]]:
    for port, host in _INET.findall(arguments):
        yield _decoded(host).decode(), int(port)


def _asked(packet: bytes) -> Iterator[str]:
    """The name in a question to a name server (RFC 1035, 4.1); nothing from what is no such packet."""
    labels, at = [], 12
    while at < len(packet) and 0 < packet[at] < 64:
        labels.append(packet[at + 1 : at + 1 + packet[at]])
        at += 1 + packet[at]
    if labels and at < len(packet):
        yield b".".join(labels).decode("ascii", "replace")


def _writes(name: str, arguments: str) -> bool:
    return not name.startswith("open") or bool(_OPENED_TO_WRITE.search(arguments))


def _paths(arguments: str) -> Iterator[Path]:
    for folder, text in _STRING.findall(arguments):
        yield Path(_decoded(folder).decode() or ".") / _decoded(text).decode()


def _strings(arguments: str) -> list[str]:
    return [_decoded(text).decode() for _, text in _STRING.findall(arguments)]


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()
