"""The wheel, built and installed for tests: into an environment of its own, which has no path to the source tree.

Several workers of pytest-xdist share one: it is made by the first that asks, and the others wait for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

import handshake_inspect

REPOSITORY = Path(__file__).parent.parent
#: What `pyproject.toml` asks for: older ones do not know its way of naming the licence.
SETUPTOOLS_MAJOR = 77
TIMEOUT_S = 300


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and no path to the source tree."""

    wheel: Path
    #: Where both folders are.
    place: Path

    @property
    def home(self) -> Path:
        """The environment."""
        return self.place / "environment"

    @property
    def folder(self) -> Path:
        """A folder that is empty but for a capture."""
        return self.place / "elsewhere"

    @property
    def scripts(self) -> Path:
        """Where its programs are."""
        return self.path("scripts")

    def path(self, which: str) -> Path:
        """Return where the environment has things, by their name in `sysconfig`."""
        return Path(sysconfig.get_path(which, "venv", vars={"base": str(self.home), "platbase": str(self.home)}))

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment there. Returns what it printed."""
        return run([str(self.scripts / program), *arguments], cwd=self.folder)


def run(command: list[str], *, cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "COLUMNS")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def pip(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]


def needs_setuptools() -> None:
    """Skip, or fail under CI, where the wheel cannot be built with what is installed: a test fetches nothing."""
    try:
        if int(metadata.version("setuptools").partition(".")[0]) >= SETUPTOOLS_MAJOR:
            return
    except metadata.PackageNotFoundError:
        pass
    missing = f"no setuptools >= {SETUPTOOLS_MAJOR} to build the wheel with: pip install '.[test]'"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that all workers of this run share; the first one that asks fills it."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    over = folder.with_suffix(".over")
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + TIMEOUT_S
        while not over.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return folder
    try:
        make(folder)
    finally:
        over.touch()
    return folder


def build_wheel(folder: Path) -> None:
    """Build the wheel from a copy of what it is made of: building leaves folders behind."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "pcaps", source / "pcaps")
    package = Path(handshake_inspect.__file__).parent
    shutil.copytree(package, source / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    run(pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."), cwd=source)


def install(wheel: Path, folder: Path) -> None:
    """Install the wheel. Its dependencies are those of this environment, lent by a .pth file."""
    place = Installed(wheel, folder)
    place.folder.mkdir()
    run([sys.executable, "-m", "venv", "--without-pip", str(place.home)], cwd=folder)
    run(pip("--python", str(place.scripts / "python"), "install", "--no-deps", "--no-index", str(wheel)), cwd=folder)
    # Only folders: the .pth files in them, such as that of an editable install, are not read again.
    lent = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (place.path("purelib") / "dependencies.pth").write_text("".join(f"{path}\n" for path in lent))
    shutil.copy(REPOSITORY / "pcaps" / "four-way.pcap", place.folder)
