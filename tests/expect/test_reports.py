"""The reports of `check`, read by strict readers: a schema, a harness, the rules of GitHub's runner."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from click.testing import CliRunner

from handshake_inspect.cli import checking, cli
from handshake_inspect.cli.captures import FilesRead, inspect_files
from handshake_inspect.expect.reports import github
from tests.cli.running import PCAPS
from tests.expect.formats import tap_points, workflow_commands

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))
FORMATS = ("json", "junit", "github", "tap")
#: A name with all that one of the formats could stumble over.
HOSTILE = "a ]]> & <b> 50% #1, \\ ```` \x1b[31m\x01\n::error::c: \u202e\ufffe\udcff.pcap"
WANTED = """schema = 1
connections = 1

[[expect]]
handshake = "three-way"
teardown = "four-way"
closed_first = "server"
"""


@dataclass
class Done:
    """What a run of the command came to."""

    code: int
    out: str
    err: str


Check = Callable[..., Done]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Run `check` in a folder of its own that has captures: a good one, one that fails thrice, one that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    place("good.pcap", "four-way.pcap", WANTED.replace("server", "client"))
    place("bad.pcap", "reset.pcap", WANTED)
    Path("none.pcap").write_text("no capture, but long enough to be looked at for one")
    Path("none.expect.toml").write_text(WANTED)

    def run(*arguments: str) -> Done:
        done = CliRunner().invoke(cli, ["check", *arguments])
        return Done(done.exit_code, done.stdout_bytes.decode(errors="surrogateescape"), done.stderr)

    return run


def place(name: str, capture: str, expectations: str) -> None:
    """Put a capture into the folder, and what is expected of it beside."""
    shutil.copy(PCAPS / capture, name)
    Path(name).with_suffix(".expect.toml").write_text(expectations)


def suites(text: str) -> list[ElementTree.Element]:
    """Return the suites of a report that the schema takes, and whose counts are right."""
    SCHEMA.validate(text)
    found = [*ElementTree.fromstring(text)]
    for suite in found:
        for count, tag in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
            assert int(suite.attrib[count]) == len(suite.findall(tag))
        names = [(case.attrib["classname"], case.attrib["name"]) for case in suite.iter("testcase")]
        assert len({*names}) == len(names)
    return found


# --- all of them -----------------------------------------------------------------------------------------------------


def told(format_: str, report: str) -> list[str]:
    """Return the messages of a report, of whatever format."""
    if format_ == "json":
        document = json.loads(report)
        failures = [one["message"] for capture in document["captures"] for one in capture["failures"]]
        return failures + [one["message"] for one in document["unusable"]]
    if format_ == "junit":
        failures = [one.text or "" for suite in suites(report) for one in suite.iter("failure")]
        errors = [one.attrib["message"] for suite in suites(report) for one in suite.iter("error")]
        return [line for text in failures for line in text.partition("\n\n")[0].splitlines()] + errors
    if format_ == "tap":
        diagnoses = [point.diagnosis for point in tap_points(report) if not point.ok]
        return [one["message"] for diagnosis in diagnoses for one in diagnosis.get("failures", [diagnosis])]
    return [command.message for command in workflow_commands(report)]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_report_tells_what_the_text_tells(check: Check, format_: str) -> None:
    text = check("good.pcap", "bad.pcap", "none.pcap", "none/*.pcap")
    done = check("good.pcap", "bad.pcap", "none.pcap", "none/*.pcap", "--format", format_)
    failed = [line.removeprefix("FAILED ") for line in text.out.splitlines() if line.startswith("FAILED ")]
    unusable = [line.removeprefix("Error: ") for line in text.err.splitlines() if line.startswith("Error: ")]
    assert (len(failed), len(unusable)) == (2, 2)
    assert sorted(told(format_, done.out)) == sorted(failed + unusable)
    assert text.code == done.code == 2
    assert done.err == text.err


@pytest.mark.parametrize("format_", FORMATS)
def test_a_good_capture_has_nothing_told_of_it(check: Check, format_: str) -> None:
    done = check("good.pcap", "--format", format_)
    assert (done.code, done.err, told(format_, done.out)) == (0, "", [])


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_that_a_name_holds_breaks_a_report(check: Check, format_: str) -> None:
    place(HOSTILE, "reset.pcap", WANTED)
    first, second = told(format_, check(HOSTILE, "--format", format_).out)
    assert "teardown: expected four-way, seen aborted" in first
    assert "closed_first: expected server, seen none" in second
    assert "a ]]> & <b> 50% #1, \\ ````" in first


@pytest.mark.parametrize("format_", FORMATS)
def test_expectations_that_are_wrong_are_told_too(check: Check, format_: str) -> None:
    Path("good.expect.toml").write_text("schema = 1\n\n[[expect]]\nteardwn = 'four-way'\n")
    done = check("good.pcap", "--format", format_)
    assert done.code == 2
    (message,) = told(format_, done.out)
    assert message == "good.expect.toml:4: there is no key 'teardwn'. Did you mean teardown?"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_stream_that_is_not_there_is_told_too(check: Check, format_: str) -> None:
    done = check("good.pcap", "--format", format_, "--teardown", "four-way", "--stream", "0,7")
    assert done.code == 2
    assert told(format_, done.out) == ["--stream: there is no stream 7; the run has 1 connection, from 0"]


@pytest.mark.parametrize("format_", ["json", "junit", "tap"])
def test_a_failure_has_its_ladder_with_the_row_marked(check: Check, format_: str) -> None:
    report = check("bad.pcap", "--format", format_).out
    if format_ == "json":
        ladder = json.loads(report)["captures"][0]["failures"][0]["ladder"]
    elif format_ == "tap":
        ladder = next(point for point in tap_points(report) if not point.ok).diagnosis["ladder"]
    else:
        ladder = suites(report)[0].find("testcase/failure").text  # type: ignore[union-attr]
    assert "stream 0 of bad.pcap · client 127.0.0.1:48172" in ladder
    assert "\n 53.527» CLOSED        ─ RST,ACK" in ladder
    assert "✗ teardown: expected four-way, seen aborted\n" in ladder


@pytest.mark.parametrize("format_", FORMATS)
def test_after_ctrl_c_a_report_says_that_it_is_not_all(
    check: Check, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(files: Sequence[str], reader: str, **options: Any) -> FilesRead:
        return replace(inspect_files(files, reader, **options), interrupted=True)

    monkeypatch.setattr(checking, "inspect_files", interrupted)
    done = check("good.pcap", "bad.pcap", "--format", format_)
    assert done.code == 130
    assert told(format_, done.out) == ["good.pcap: interrupted: what comes behind was not read"]
    assert ("Bail out! interrupted" in done.out) == (format_ == "tap")


# --- where it goes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["text", *FORMATS])
def test_with_a_file_the_report_is_there_and_the_text_in_the_log(check: Check, format_: str) -> None:
    text = check("good.pcap", "bad.pcap")
    done = check("good.pcap", "bad.pcap", "--format", format_, "-o", "report")
    assert (done.code, done.out, done.err) == (1, text.out, "")
    report = Path("report").read_text(encoding="utf-8")
    if format_ == "text":
        assert report == text.out
    else:
        assert len(told(format_, report)) == 2


@pytest.mark.parametrize("target", ["good.pcap", "./bad.pcap", "bad.expect.toml"])
def test_a_report_takes_the_place_of_nothing_that_is_read(check: Check, target: str) -> None:
    before = Path(target).read_bytes()
    done = check("good.pcap", "bad.pcap", "--format", "json", "-o", target)
    assert (done.code, done.out) == (2, "")
    assert "choose another name" in done.err
    assert Path(target).read_bytes() == before


def test_a_named_file_of_expectations_is_safe_too(check: Check) -> None:
    shutil.copy("bad.expect.toml", "wanted.toml")
    done = check("bad.pcap", "--expect", "wanted.toml", "-o", "wanted.toml")
    assert done.code == 2
    assert "wanted.toml is the file of expectations that is read" in done.err


def test_a_report_that_cannot_be_written_is_one_line(check: Check) -> None:
    done = check("good.pcap", "--format", "junit", "-o", "no/such/folder.xml")
    assert done.code == 2
    assert done.err == "Error: no/such/folder.xml: cannot be written: No such file or directory\n"


@pytest.mark.parametrize("mode", ["--record", "--update"])
@pytest.mark.parametrize("asked", [["--format", "json"], ["-o", "report"]])
def test_what_checks_nothing_reports_nothing(check: Check, mode: str, asked: list[str]) -> None:
    done = check("good.pcap", mode, *asked)
    assert done.code == 2
    assert "--record and --update check nothing" in done.err
    assert not Path("report").exists()


# --- one by one ------------------------------------------------------------------------------------------------------


def test_json_says_what_was_checked_and_what_failed(check: Check) -> None:
    found = json.loads(check("good.pcap", "bad.pcap", "--format", "json").out)
    assert (found["schema"], found["checked"], found["failed"], found["unusable"]) == (1, 2, 1, [])
    good, bad = found["captures"]
    assert good["checks"] == [
        {"check": "connections", "stream": None, "met": True, "source": "good.expect.toml", "line": 2},
        {
            "check": "stream 0 (127.0.0.1:47304 → 127.0.0.1:45243)",
            "stream": 0,
            "met": True,
            "source": "good.expect.toml",
            "line": 4,
        },
    ]
    assert [one["met"] for one in bad["checks"]] == [True, False]
    assert bad["expectations"] == ["bad.expect.toml"]
    failure = bad["failures"][0]
    del failure["ladder"], failure["message"]
    assert failure == {
        "capture": "bad.pcap",
        "stream": 0,
        "originator": {"ip": "127.0.0.1", "port": 48172},
        "responder": {"ip": "127.0.0.1", "port": 47991},
        "key": "teardown",
        "expected": "four-way",
        "seen": "aborted",
        "detail": None,
        "frame": 8,
        "source": "bad.expect.toml",
        "line": 6,
    }


def test_a_test_case_is_named_by_capture_and_connection(check: Check) -> None:
    Path("day").mkdir()
    place("day/bad.pcap", "reset.pcap", WANTED + WANTED.partition("\n\n")[2])
    (suite,) = suites(check("day/bad.pcap", "--format", "junit").out)
    assert suite.attrib["name"] == "day/bad.pcap"
    stream = "stream 0 (127.0.0.1:48172 → 127.0.0.1:47991)"
    assert [(case.attrib["classname"], case.attrib["name"]) for case in suite.iter("testcase")] == [
        ("day.bad", "connections"),
        ("day.bad", stream),
        ("day.bad", f"{stream} (2)"),
    ]
    assert [one.attrib["type"] for one in suite.iter("failure")] == ["teardown, closed_first"] * 2


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (' hostname="', ' host="'),
        ("<testsuites>", '<testsuites tests="1">'),
        ("<properties>", "<properties/><properties>"),
        ("</failure>", '</failure><failure type="a"/>'),
        ("<system-err />", ""),
        (' type="teardown, closed_first"', ""),
        ('T00:00:00"', 'T00:00:00Z"'),
    ],
)
def test_the_schema_is_strict(check: Check, was: str, becomes: str) -> None:
    report = check("bad.pcap", "--format", "junit").out
    report = (
        f'{report.partition("timestamp=")[0]}timestamp="2026-11-26T00:00:00"{report.partition("timestamp=")[2][21:]}'
    )
    assert SCHEMA.is_valid(report)
    assert was in report
    assert not SCHEMA.is_valid(report.replace(was, becomes, 1))


def test_prove_understands_it(check: Check) -> None:
    prove = shutil.which("prove")
    if prove is None:
        pytest.skip("no prove: it comes with Perl")
    check("good.pcap", "--format", "tap", "-o", "good.tap")
    check("bad.pcap", "none.pcap", "--format", "tap", "-o", "bad.tap")
    done = subprocess.run([prove, "--exec", "cat", "good.tap", "bad.tap"], capture_output=True, text=True, check=False)
    assert "good.tap .. ok" in done.stdout
    assert "Failed tests:  2-3" in done.stdout
    assert "Parse errors" not in done.stdout


def test_an_annotation_stands_at_the_expectation(check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    teardown, closed_first = workflow_commands(check("bad.pcap", "--format", "github").out)
    assert (teardown.name, teardown.properties) == (
        "error",
        {"file": "bad.expect.toml", "line": "6", "title": "bad.pcap: teardown"},
    )
    assert closed_first.properties["line"] == "7"
    assert teardown.message == (
        "bad.pcap stream 0 (127.0.0.1:48172 → 127.0.0.1:47991): teardown: expected four-way, seen aborted"
        " (frame 8, RST,ACK of the client) [bad.expect.toml:6]"
    )
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    (first, _) = workflow_commands(check("bad.pcap", "--format", "github").out)
    assert first.properties["file"] == f"{tmp_path.name}/bad.expect.toml"


def test_an_annotation_of_an_option_stands_at_the_capture(check: Check) -> None:
    Path("bad.expect.toml").unlink()
    (command,) = workflow_commands(
        check(str(Path("bad.pcap").resolve()), "--format", "github", "--teardown", "open").out
    )
    assert command.properties["file"] == "bad.pcap"
    assert "line" not in command.properties


def test_annotations_that_github_would_not_show_are_counted(check: Check) -> None:
    for number in range(6):
        place(f"bad{number}.pcap", "reset.pcap", WANTED)
    every = check(*(f"bad{number}.pcap" for number in range(5)), "--format", "github").out
    assert len(workflow_commands(every)) == github.MOST_ANNOTATIONS
    most = workflow_commands(check(*(f"bad{number}.pcap" for number in range(6)), "--format", "github").out)
    assert len(most) == github.MOST_ANNOTATIONS
    assert most[-1].message == "3 more failures: the log of this step names them all"


def test_the_log_of_a_job_has_the_text_first_in_which_nothing_is_a_command(check: Check) -> None:
    text = check("bad.pcap").out
    begin, *inside, end = check("bad.pcap", "--format", "github").out.partition("\n::error ")[0].splitlines()
    assert inside == text.splitlines()
    word = begin.removeprefix("::stop-commands::")
    assert end == f"::{word}::"
    assert word not in text
    hostile = "::error::a\n::stop-commands::b\n::b::\n"
    assert workflow_commands(github.guarded(hostile) + "::error::c\n")[0].message == "c"


def test_the_page_of_a_job_is_added_to(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path("summary.md")
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    check("good.pcap", "bad.pcap", "none.pcap", "--format", "github")
    written = page.read_text()
    assert written.startswith(
        "before\n### handshake-inspect: 1 of 2 connections failed in 2 captures\n\n```text\nnone.pcap:"
    )
    assert "\n```text\nbad.pcap stream 0 (127.0.0.1:48172 → 127.0.0.1:47991): teardown: expected" in written
    assert "✗ teardown: expected four-way, seen aborted" in written
    assert written.count("```") % 2 == 0
    check("bad.pcap", "--format", "json")
    assert page.read_text() == written


def test_the_page_of_a_job_is_never_too_long(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path("summary.md")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    page.write_bytes(b"x" * (github.MOST_SUMMARY - 500))
    check("bad.pcap", "--format", "github")
    assert github.MOST_SUMMARY - 450 < page.stat().st_size <= github.MOST_SUMMARY
    assert page.read_text().count("```") % 2 == 0


def test_no_text_leaves_its_block_on_the_page(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    place(HOSTILE, "reset.pcap", WANTED)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    check(HOSTILE, "--format", "github")
    lines = Path("summary.md").read_text().splitlines()
    fences = [line for line in lines if line.startswith("```")]
    assert fences == ["`````text", "`````", "`````text", "`````"]


def test_a_page_that_cannot_be_written_is_one_line(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/folder.md")
    done = check("good.pcap", "--format", "github")
    assert done.code == 2
    assert done.err.startswith("Error: GITHUB_STEP_SUMMARY: no/such/folder.md: cannot be written")
