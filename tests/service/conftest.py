"""The package and the machine that it is installed on, made once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.debian import build
from tests.scene_clips import write_scene
from tests.service.machine import Machine, make_root

BUILD = build.ROOT / "build"


@pytest.fixture(scope="session")
def packages() -> tuple[Path, Path]:
    """The package that `make deb` built, and the next version of it with other defaults."""
    folder = BUILD / "deb"
    first = folder / f"instore-edge_{build.project_version()}_{build.architecture()}.deb"
    assert first.exists(), "there is no package: make deb"
    tree = BUILD / "service" / "next"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(folder / "tree", tree, symlinks=True, copy_function=os.link)
    defaults = tree / "etc/instore-edge/config.toml"
    changed = "# of the next version\n" + defaults.read_text()
    defaults.unlink()  # a link to the first one's
    defaults.write_text(changed)
    shutil.rmtree(tree / "DEBIAN")
    return first, build.pack(
        tree, BUILD / "service", build.project_version() + "+next", build.python_version()
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """A clean Debian with what the package depends on."""
    if os.geteuid():
        pytest.fail("a container that boots needs root: sudo make test-service")
    for program in ("debootstrap", "systemd-nspawn", "nsenter"):
        assert shutil.which(program), f"{program} is not installed: deploy/system-packages.sh service"
    folder = BUILD / "service" / "root"
    make_root(folder, [alternatives.split(" | ")[0] for alternatives in ("python3", *build.DEPENDS)])
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with a visitor."""
    return write_scene(tmp_path_factory.mktemp("clips") / "scene.avi", seconds=14, size=(960, 540))


@pytest.fixture(scope="module")
def machine(packages: tuple[Path, Path], root: Path, clip: Path) -> Iterator[Machine]:
    """A booted Debian with the packages and a clip below /srv, and without any of InStore."""
    binds = {package: f"/srv/{name}.deb" for package, name in zip(packages, ("first", "next"), strict=True)}
    with Machine(root, {**binds, clip: "/srv/scene.avi"}, BUILD / "service" / "console.log") as machine:
        yield machine
