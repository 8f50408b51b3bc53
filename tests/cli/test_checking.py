"""`check` over several captures, pipes, folders and Ctrl-C; `--record` and `--update`: what they refuse and leave."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from handshake_inspect.cli import cli
from handshake_inspect.connections.folding.gather import GatheredRows
from tests.cli.running import PCAPS, waiting_for_more
from tests.engine.test_again import capture as long_capture

__all__ = ["long_capture"]

RESET = 'schema = 1\n\n[[expect]]\nteardown = "aborted"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with two captures."""
    for name in ("reset.pcap", "four-way.pcap"):
        shutil.copy(PCAPS / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["check", *arguments], input=stdin, catch_exceptions=False)


def test_what_is_recorded_in_a_folder_is_met_and_worth_no_remark(folder: Path) -> None:
    recorded = check("--record", ".")
    assert (recorded.exit_code, recorded.stderr) == (0, "")
    assert (folder / "reset.expect.toml").read_text().startswith("# What is expected of reset.pcap.\nschema = 1\n")
    checked = check(".")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert checked.stdout == "ok: 2 connections in 2 captures\n"
    updated = check("--update", ".")
    assert (updated.exit_code, updated.stderr) == (0, "")
    assert (
        updated.stdout == "four-way.expect.toml: as four-way.pcap shows it\nreset.expect.toml: as reset.pcap shows it\n"
    )


def test_a_capture_with_nothing_beside_it_does_not_spoil_the_others(folder: Path) -> None:
    (folder / "reset.expect.toml").write_text(RESET)
    done = check(".")
    assert done.exit_code == 2
    assert done.stdout == "not all could be checked: 1 connection as expected\n"
    assert done.stderr == (
        "Error: four-way.pcap: there is no four-way.expect.toml beside it that says what to expect; "
        "handshake-inspect check --record four-way.pcap\n"
    )


def test_a_compressed_capture_has_the_same_file_beside_it(folder: Path) -> None:
    (folder / "zip.pcap.gz").write_bytes(gzip.compress((folder / "reset.pcap").read_bytes()))
    (folder / "zip.expect.toml").write_text(RESET)
    assert check("zip.pcap.gz").stdout == "ok: 1 connection\n"


def test_one_file_for_several_captures_or_for_a_pipe(folder: Path) -> None:
    (folder / "any.toml").write_text(RESET)
    several = check("reset.pcap", "four-way.pcap", "--expect", "any.toml")
    assert several.exit_code == 1
    assert several.stdout.count("FAILED ") == 1
    assert check("-", "--expect", "any.toml", stdin=(folder / "reset.pcap").read_bytes()).stdout == "ok: 1 connection\n"


def test_what_is_wrong_with_the_file_for_all_is_told_once(folder: Path) -> None:
    (folder / "any.toml").write_text("schema = 3\n")
    done = check("reset.pcap", "four-way.pcap", "--expect", "any.toml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("Error: ") == 1
    assert done.stderr.startswith("Error: any.toml:1: this is another schema")


def test_together_they_are_one_run(folder: Path) -> None:
    (folder / "any.toml").write_text('schema = 1\nconnections = 2\n[[expect]]\nstream = 1\nteardown = "aborted"\n')
    assert check("four-way.pcap", "reset.pcap", "--together", "--expect", "any.toml").exit_code == 0
    assert check("four-way.pcap", "reset.pcap", "--expect", "any.toml").exit_code == 1


def test_what_is_ignored_may_be_whoever_forbids_it(folder: Path) -> None:
    (folder / "reset.expect.toml").write_text('schema = 1\nno_findings = "note"\n[[expect]]\nno_findings = "note"\n')
    assert check("reset.pcap").exit_code == 1
    assert check("reset.pcap", "--fail-on", "note").exit_code == 1
    assert check("reset.pcap", "--fail-on", "note", "--ignore", "reset-*").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--record", "-"], "nothing can be beside standard input: name a file with --expect"),
        (["--record", "reset.pcap", "--fail-on", "warn"], "each goes alone"),
        (["--record", "--update", "reset.pcap"], "each goes alone"),
        (["--update", "reset.pcap", "--ignore", "reset-*"], "each goes alone"),
        (["--record", "reset.pcap", "--port", "80"], "--port 80 selects for --handshake"),
        (["--update", "reset.pcap"], "reset.expect.toml: there is none to bring up to date; --record writes it"),
        (["reset.pcap", "--teardown", "aborted", "--format", "tap", "-o", "-"], "-o - would mix the report with the"),
        (["--record", "reset.pcap", "--expect", "no/such/folder"], "no/such/folder: cannot be written: No such file"),
        (
            ["--record", "reset.pcap", "four-way.pcap", "--expect", "x"],
            "--expect x is one file, and here are 2 captures",
        ),
        (["--record", "reset.pcap", "--expect", "four-way.pcap"], "four-way.pcap: it is there; --update brings it up"),
        (["reset.pcap", "--expect", "."], ".: cannot be read: Is a directory"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_options_that_do_not_fit_are_refused_in_one_line(arguments: list[str], says: str) -> None:
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert not Path("reset.expect.toml").exists()


def test_what_an_update_cannot_write_is_told(folder: Path) -> None:
    text = 'schema = 1\n\n[[expect]]\nteardown = "aborted"\nmax_handshake_ms = 5\n'
    (folder / "refused.expect.toml").write_text(text)
    shutil.copy(PCAPS / "refused.pcap", folder)
    done = check("--update", "refused.pcap")
    assert (done.exit_code, done.stderr) == (1, "")
    assert '-teardown = "aborted"\n+teardown = "none"\n' in done.stdout
    assert done.stdout.endswith(
        "refused.expect.toml:5: max_handshake_ms: expected at most 5 ms, seen no time: refused handshake: "
        "change this by hand\n"
    )


def test_segments_that_a_pipe_does_not_give_again_are_missed_in_one_line(
    long_capture: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GatheredRows.__init__, "__kwdefaults__", {"fold": True, "fold_rows": 4, "long_rows": 4})
    octets = long_capture.read_bytes()
    failed = check("-", "--teardown", "four-way", stdin=octets)
    assert failed.exit_code == 1
    assert failed.stdout.splitlines()[0].endswith("teardown: expected four-way, seen open [--teardown]")
    assert "save it to a file first; no ladder of stream 0\n" in failed.stderr
    (folder / "any.toml").write_text("schema = 1\n[[expect]]\nmax_retransmissions = 0\n")
    of_segments = check(str(long_capture), "--expect", "any.toml")
    assert (of_segments.exit_code, of_segments.stderr) == (0, "")


def test_ctrl_c_judges_no_half_capture_and_begins_no_other(folder: Path) -> None:
    asked = ["check", "four-way.pcap", "-", "reset.pcap", "--handshake", "partial"]
    process = waiting_for_more(*asked, capture=folder / "reset.pcap", cwd=folder, PYTHONPATH=str(PCAPS.parent))
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert out.decode().count("FAILED ") == 1
    assert b"FAILED four-way.pcap" in out
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("becomes", "says"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "reset.pcap: not a capture: Git LFS pointer",
        ),
        (b"", "reset.pcap: empty"),
        (None, "reset.expect.toml: there is no capture beside it to check"),
    ],
)
def test_a_folder_in_which_a_capture_is_none_any_more_does_not_pass(
    folder: Path, becomes: bytes | None, says: str
) -> None:
    assert check("--record", ".").exit_code == 0
    reset = folder / "reset.pcap"
    reset.unlink()
    if becomes is not None:
        reset.write_bytes(becomes)
    done = check(".", "--format", "json")
    assert done.exit_code == 2
    assert says in done.stderr
    report = json.loads(done.stdout)
    assert (len(report["captures"]), len(report["unusable"])) == (1, 1)
    assert says in report["unusable"][0]["message"]


@pytest.mark.usefixtures("folder")
def test_the_result_does_not_depend_on_who_reads_the_output() -> None:
    script = (
        f"{sys.executable} -m handshake_inspect check reset.pcap --teardown four-way | true; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", script], env={"PYTHONPATH": str(PCAPS.parent)}, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.usefixtures("folder")
def test_what_is_no_capture_is_told_before_that_nothing_is_beside_it() -> None:
    Path("notes.pcap").write_text("no capture")
    done = check("notes.pcap")
    assert done.exit_code == 2
    assert "notes.pcap: not a capture" in done.stderr


def test_damage_stands_in_the_reports(folder: Path) -> None:
    octets = (folder / "reset.pcap").read_bytes()
    (folder / "reset.pcap").write_bytes(octets[:-3])
    arguments = ("reset.pcap", "--handshake", "three-way", "--format")
    assert "damaged at octet" in json.loads(check(*arguments, "json").stdout)["captures"][0]["remarks"][0]
    assert "# reset.pcap: damaged at octet" in check(*arguments, "tap").stdout
    assert "reset.pcap: damaged at octet" in check(*arguments, "junit").stdout


@pytest.mark.usefixtures("folder")
def test_findings_that_may_not_be_are_not_missed_where_a_file_expects_no_connection() -> None:
    shutil.copy(PCAPS / "udp.pcap", "udp.pcap")
    assert check("udp.pcap", "--fail-on", "error").exit_code == 1  # nothing was there to check
    assert check("--record", "udp.pcap").exit_code == 0
    assert check("udp.pcap", "--fail-on", "error").exit_code == 0


@pytest.mark.usefixtures("folder")
def test_what_fail_on_finds_is_told_once_and_of_the_chosen_connections() -> None:
    failed = check("reset.pcap", "--fail-on", "note", "--format", "json")
    assert len(json.loads(failed.stdout)["captures"][0]["failures"]) == failed.exit_code == 1
    chosen = check("four-way.pcap", "reset.pcap", "--together", "--fail-on", "note", "--port", "45243")
    assert chosen.exit_code == 0, "the finding is of the other connection"


def test_a_finding_is_allowed_where_a_table_names_it_and_nowhere_else(folder: Path) -> None:
    text = 'schema = 1\nno_findings = "note"\n[[expect]]\nport = {port}\ncount = {{ min = 0 }}\n'
    text += 'findings = "reset-linger"\n'
    (folder / "reset.expect.toml").write_text(text.format(port=47991))
    assert check("reset.pcap").exit_code == 0
    (folder / "reset.expect.toml").write_text(text.format(port=9000))
    failed = check("reset.pcap")
    assert "no_findings: expected none of severity note or above, seen note reset-linger" in failed.stdout


def test_of_many_failures_the_first_are_named_and_the_others_counted(folder: Path) -> None:
    (folder / "port-scan.pcap").write_bytes((PCAPS / "port-scan.pcap").read_bytes())
    tables = "".join(f'[[expect]]\nteardown = "four-way"\nport = {port}\n' for port in range(20, 50)) * 10
    (folder / "port-scan.expect.toml").write_text(f"schema = 1\n{tables}")
    lines = check("port-scan.pcap").stdout.splitlines()
    assert sum(line.startswith("FAILED") for line in lines) == 200
    assert any(line.startswith("… and ") and line.endswith("--format json names them all") for line in lines)
