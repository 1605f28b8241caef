"""Builds the Debian package of the box: a virtual environment under /opt, the service, its manual.

    make deb                                   build/deb/instore-edge_VERSION_ARCHITECTURE.deb
    python -m deploy.debian.build --version 0.1.0+2
    python -m deploy.debian.build --tensorrt   for boxes with an NVIDIA GPU, 260 MB more on their disks
    python -m deploy.debian.build --openvino   for boxes that estimate ages in 8 bits on the CPU, 180 MB more

The environment uses Debian's own Python of one minor version, on which the package depends. The libraries are
those of requirements/box.txt, checked by hash, without the ones that a box never loads.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.debian.manual import completion, manual

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PYTHON = Path("/usr/bin/python3")
PREFIX = Path("opt/instore-edge")
SCHEMA = "usr/share/instore-edge/config.schema.json"

LOCK = "box.txt"
"""The lock file of the package, in requirements/."""

EXTRAS = {
    "tensorrt": "with TensorRT for RTX, for boxes with an NVIDIA GPU",
    "openvino": "with OpenVINO, for boxes that estimate ages in 8 bits on the CPU",
}
"""Optional libraries, one option each: requirements/NAME.txt."""

NEVER_LOADED = {
    # Only MediaPipe's drawing helpers and microphones import them; edge.vision.detect.mediapipe blocks that.
    "matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "pillow", "pyparsing", "python-dateutil",
    "sounddevice", "cffi", "pycparser",
    # Its files are all in opencv-contrib-python, which MediaPipe asks for.
    "opencv-python",
}  # fmt: skip
"""Libraries that the lock file names and a box never loads."""

STRIPPED = (
    "**/tests/", "**/*.pyi", "**/*.pxd", "**/*.pyx", "**/*.h", "**/*.hpp",
    "onnxruntime/transformers/", "onnxruntime/tools/", "onnxruntime/quantization/",
    "mediapipe/tasks/python/test/", "training/",
    "*.dist-info/direct_url.json", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED",
)  # fmt: skip
"""Files in site-packages that serve building, testing and training only, or name the folder of the build."""

DEPENDS = (
    "libgl1",
    "libegl1",
    "libgles2",
    "libglib2.0-0 | libglib2.0-0t64",
)
"""What cv2 and MediaPipe link against; deploy/system-packages.sh names the same."""

CONTROL = """Package: instore-edge
Version: {version}
Architecture: {architecture}
Maintainer: InStore <root@localhost>
Installed-Size: {kibibytes}
Depends: python3 (>= {python}), python3 (<< {next_python}), {depends}
Recommends: ca-certificates
Section: net
Priority: optional
Description: anonymous age counts from store cameras over MQTT
 A daemon for the box in the back room. It pulls frames from the cameras, finds faces, follows each visitor
 while in view, estimates an age distribution for each, and publishes how many visitors of each age bracket
 there were in each window of time.
 .
 Counts and states leave the box: no crop, no embedding, no track. Pictures stay in memory; whoever sets the
 box up or audits it on its page sees one with the faces covered, or with nobody on it.
"""


def main() -> None:
    """Build the package into build/deb; its path on standard output."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument(
        "--version", default=project_version(), help="of the package (default: the project's)"
    )
    for name, text in EXTRAS.items():
        arguments.add_argument(f"--{name}", action="store_true", help=text)
    arguments.add_argument("--folder", type=Path, default=ROOT / "build" / "deb", help="where to build")
    options = arguments.parse_args()
    os.umask(0o022)
    os.environ.setdefault("SOURCE_DATE_EPOCH", _output("git", "-C", ROOT, "log", "-1", "--format=%ct"))
    folder: Path = options.folder.absolute()
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    python = python_version()
    _say("environment")
    extras = [f"{name}.txt" for name in EXTRAS if getattr(options, name)]
    environment(tree / PREFIX, folder, python, [LOCK, *extras])
    _say("stripping")
    packages = tree / PREFIX / "lib" / f"python{python}" / "site-packages"
    strip(packages)
    compile_all(tree)
    _say("service, configuration, manual")
    system_files(tree)
    _say("package")
    sys.stdout.write(f"{pack(tree, folder, options.version, python)}\n")


def project_version() -> str:
    """The version in pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def python_version() -> str:
    """The minor version of the system's Python, such as 3.11."""
    return _output(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def architecture() -> str:
    """Debian's name for the architecture of this machine, such as amd64."""
    return _output("dpkg", "--print-architecture")


def environment(prefix: Path, folder: Path, python: str, locks: Sequence[str]) -> None:
    """Make a virtual environment with libraries and program at `prefix`, for use as /opt/instore-edge."""
    _run(PYTHON, "-m", "venv", "--without-pip", prefix)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        prefix / "bin" / "python3",
        "install",
        "--quiet",
    ]
    pip += ["--disable-pip-version-check", "--no-compile", "--no-deps"]
    locked = folder / "locked.txt"
    texts = [(ROOT / "requirements" / name).read_text() for name in locks]
    locked.write_text("".join(requirement for text in texts for requirement in needed(text)))
    _run(*pip, "--require-hashes", "-r", locked)
    wheels = folder / "wheel"
    for stale in (wheels, ROOT / "build" / "lib"):  # setuptools would pack what an earlier build left there
        shutil.rmtree(stale, ignore_errors=True)
    _run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "--wheel-dir", wheels, ROOT,
    )  # fmt: skip
    _run(*pip, *wheels.glob("*.whl"))
    shutil.rmtree(prefix / "bin")
    for leftover in ("include", "share", "lib64"):
        path = prefix / leftover
        path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python3").symlink_to(f"/usr/bin/python{python}")
    (prefix / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
        f"executable = /usr/bin/python{python}\n"
    )
    # -I: Python imports nothing from the current folder or from the caller's environment variables.
    _write(prefix / "bin" / "instore-edge", f"#!/{PREFIX}/bin/python3 -I\nfrom edge.cli import main\n\n"
           "raise SystemExit(main())\n", 0o755)  # fmt: skip


def needed(locked: str) -> Iterator[str]:
    """The requirements of a lock file with their hashes, without those that a box never loads."""
    for requirement in re.split(r"(?m)^(?=[A-Za-z0-9])", locked):
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name and name[0] not in NEVER_LOADED:
            yield requirement


def strip(packages: Path) -> None:
    """Remove what a box does not need, and the second copy of OpenCV's libraries where there is one."""
    for pattern in STRIPPED:
        for path in list(packages.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def compile_all(tree: Path) -> None:
    """Compile every module, as the service cannot write there; Python does not check for changes."""
    _run(
        PYTHON, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash",
        "-s", tree, "-p", "/", tree / PREFIX / "lib",
    )  # fmt: skip


def system_files(tree: Path) -> None:
    """Install the service, its configuration and a broker's, the manual page and the completion."""
    deploy = ROOT / "deploy" / "systemd"
    _copy(deploy / "restart-delay", tree / PREFIX / "libexec" / "restart-delay", 0o755)
    _copy(deploy / "instore-edge.service", tree / "usr/lib/systemd/system/instore-edge.service")
    for dropin in deploy.glob("*.conf"):
        _copy(dropin, tree / "usr/share/instore-edge/systemd" / dropin.name)
    for path in (ROOT / "deploy" / "mosquitto").iterdir():
        mode = 0o755 if path.name == "setup" else 0o644
        _copy(path, tree / "usr/share/instore-edge/mosquitto" / path.name, mode)
    _write(tree / "etc/instore-edge/config.toml", configuration())
    (tree / "etc/instore-edge/conf.d").mkdir()
    (tree / "etc/instore-edge/secrets").mkdir(mode=0o700)
    _copy(ROOT / "docs" / "config.schema.json", tree / SCHEMA)
    documents = tree / "usr/share/doc/instore-edge"
    _copy(HERE / "copyright", documents / "copyright")
    _copy(ROOT / "README.md", documents / "README.md")
    _write(documents / "changelog.gz", _zipped((ROOT / "CHANGELOG.md").read_text()))
    _write(tree / "usr/share/man/man1/instore-edge.1.gz", _zipped(manual()))
    _write(tree / "usr/share/bash-completion/completions/instore-edge", completion())
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/instore-edge").symlink_to(f"/{PREFIX}/bin/instore-edge")


def configuration() -> str:
    """The shipped configuration, with the place of its schema on a box."""
    return (ROOT / "config.toml").read_text().replace("docs/config.schema.json", f"/{SCHEMA}", 1)


def pack(tree: Path, folder: Path, version: str, python: str) -> Path:
    """Build the package from the tree, its checksums and the maintainer scripts; the path of the package."""
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    files = [path for path in files if "DEBIAN" not in path.parts]
    major, minor = python.split(".")
    control = tree / "DEBIAN"
    _write(control / "control", CONTROL.format(
        version=version, architecture=architecture(), python=python, next_python=f"{major}.{int(minor) + 1}",
        depends=", ".join(DEPENDS), kibibytes=sum(path.stat().st_size for path in files) // 1024,
    ))  # fmt: skip
    _write(control / "conffiles", "/etc/instore-edge/config.toml\n")
    _write(control / "md5sums", "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in files if path.parts[len(tree.parts)] != "etc"
    ))  # fmt: skip
    for script in ("postinst", "prerm", "postrm"):
        _copy(HERE / script, control / script, 0o755)
    package = folder / f"instore-edge_{version}_{architecture()}.deb"
    _run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z6", "--build", tree, package)
    return package


def _zipped(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def _copy(source: Path, target: Path, mode: int = 0o644) -> None:
    _write(target, source.read_bytes(), mode)


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def _output(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def _say(step: str) -> None:
    sys.stderr.write(f"{step} ...\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
