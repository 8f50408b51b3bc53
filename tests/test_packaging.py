"""What users install: the wheel, built, put into an environment of its own, and used without the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest

import handshake_inspect

REPOSITORY = Path(__file__).parent.parent
#: What `pyproject.toml` asks for: older ones do not know its way of naming the licence.
SETUPTOOLS_MAJOR = 77
TIMEOUT_S = 300

#: All on one worker: the wheel is built once.
pytestmark = pytest.mark.xdist_group("packaging")


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and no path to the source tree."""

    wheel: Path
    scripts: Path
    #: A folder that is empty but for a capture.
    folder: Path

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what it is made of: building leaves folders behind."""
    needs_setuptools()
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "pcaps", source / "pcaps")
    package = Path(handshake_inspect.__file__).parent
    shutil.copytree(package, source / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("wheel")
    run(pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), "."), cwd=source)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel. Its dependencies are those of this environment, lent by a .pth file."""
    home = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", str(home)], cwd=home)
    paths = {"base": str(home), "platbase": str(home)}
    purelib = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    run(pip("--python", str(scripts / "python"), "install", "--no-deps", "--no-index", str(wheel)), cwd=home)
    # Only folders: the .pth files in them, such as that of an editable install, are not read again.
    lent = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (purelib / "dependencies.pth").write_text("".join(f"{path}\n" for path in lent))
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(REPOSITORY / "pcaps" / "four-way.pcap", folder)
    return Installed(wheel, scripts, folder)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    package = Path(handshake_inspect.__file__).parent
    modules = {str(path.relative_to(package.parent)) for path in package.rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    recorded = {f"handshake_inspect/lab/recorded/{path.name}" for path in (package / "lab" / "recorded").iterdir()}
    assert len(recorded) >= 12
    pages = {f"handshake_inspect/explain/pages/{path.name}" for path in (package / "explain" / "pages").iterdir()}
    captures = {f"handshake_inspect/pcaps/{path.name}" for path in (REPOSITORY / "pcaps").glob("*.pcap")}
    assert len(captures) > 100
    assert names == modules | recorded | pages | captures | {
        "handshake_inspect/py.typed",
        "handshake_inspect/findings/other_tools.tsv",
    }


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = HeaderParser().parsestr(archive.read(name).decode("utf-8"))
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    assert fields["Version"] == handshake_inspect.__version__
    assert fields["License-Expression"] == "MIT"
    assert fields["Description-Content-Type"] == "text/markdown"
    assert fields.get_payload() == (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(licences) == 1


def test_the_installed_package_is_that_of_the_wheel(installed: Installed) -> None:
    program = "import handshake_inspect; print(handshake_inspect.__file__)"
    place = Path(installed.run("python", "-c", program).strip())
    assert place.is_relative_to(installed.scripts.parent)


def test_the_installed_command_says_its_version(installed: Installed) -> None:
    said = f"handshake-inspect {handshake_inspect.__version__}\n"
    assert installed.run("handshake-inspect", "--version") == said
    assert installed.run("python", "-m", "handshake_inspect", "--version") == said


def test_the_installed_command_reads_and_draws_a_capture(installed: Installed) -> None:
    (line,) = installed.run("handshake-inspect", "read", "four-way.pcap", "--format", "csv").splitlines()[1:]
    assert ",three-way,four-way," in line
    assert "TIME-WAIT" in installed.run("handshake-inspect", "show", "four-way.pcap")


def test_the_installed_command_explains_with_a_ladder_of_a_capture_that_came_with_it(installed: Installed) -> None:
    assert "─▶ CLOSED" in installed.run("handshake-inspect", "explain", "TIME_WAIT")


def test_the_installed_command_replays_a_recorded_session(installed: Installed) -> None:
    assert "connect(" in installed.run("handshake-inspect", "demo", "--replay")
