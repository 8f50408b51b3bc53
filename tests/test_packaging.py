"""What users install: the wheel, built, put into an environment of its own, and used without the source tree."""

from __future__ import annotations

import zipfile
from email.parser import HeaderParser
from pathlib import Path

import handshake_inspect
from tests.installation import REPOSITORY, Installed


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    package = Path(handshake_inspect.__file__).parent
    modules = {str(path.relative_to(package.parent)) for path in package.rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    recorded = {f"handshake_inspect/lab/recorded/{path.name}" for path in (package / "lab" / "recorded").iterdir()}
    assert len(recorded) >= 12
    pages = {f"handshake_inspect/explain/pages/{path.name}" for path in (package / "explain" / "pages").iterdir()}
    page = {str(path.relative_to(package.parent)) for path in (package / "views" / "page").rglob("*.[chj]*")}
    page = {name for name in page if name.endswith((".css", ".html", ".js"))}
    assert len(page) >= 15
    captures = {f"handshake_inspect/pcaps/{path.name}" for path in (REPOSITORY / "pcaps").glob("*.pcap")}
    assert len(captures) > 100
    assert names == modules | recorded | pages | page | captures | {
        "handshake_inspect/py.typed",
        "handshake_inspect/findings/other_tools.tsv",
        "handshake_inspect/views/pictures/ladder.css",
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
