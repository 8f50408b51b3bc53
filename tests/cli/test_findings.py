"""`findings`: grouped, by connection, for programs; what is wanted of them; and where they stand in other commands."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.running import run

PCAPS = Path(__file__).parents[2] / "pcaps"
FLOOD = str(PCAPS / "syn-flood-cookies.pcap")


def test_findings_are_grouped_and_counted_the_worst_first() -> None:
    found = run("findings", FLOOD)
    assert found.returncode == 0
    heads = [line for line in found.stdout.splitlines() if line and not line.startswith(" ")]
    assert heads == ["warn syn-flood", "warn half-open  24 connections"]
    assert "and 21 more connections" in found.stdout


def test_by_connection_every_finding_is_listed() -> None:
    found = run("findings", FLOOD, "-v", "--select", "half-open")
    assert sum(line.startswith("stream ") for line in found.stdout.splitlines()) == 24
    assert found.stdout.count("half-open for") == 24


def test_of_chosen_connections_the_run_is_not_told() -> None:
    assert "syn-flood" not in run("findings", FLOOD, "--stream", "0-3").stdout


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        (("--select", "syn-*"), {"syn-flood"}),
        (("--ignore", "syn-flood"), {"half-open"}),
        (("--severity", "error"), set()),
        (("--select", "half-open,syn-flood", "--ignore", "half-*"), {"syn-flood"}),
    ],
)
def test_options_choose_the_codes(options: tuple[str, ...], codes: set[str]) -> None:
    found = run("findings", FLOOD, "--format", "ndjson", *options)
    assert {json.loads(line)["code"] for line in found.stdout.splitlines()} == codes


def test_a_code_that_is_none_is_refused_with_the_nearest() -> None:
    found = run("findings", FLOOD, "--select", "half-opn")
    assert found.returncode == 2
    assert "there is no finding 'half-opn'. Did you mean half-open" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_every_format_tells_the_same() -> None:
    by_line = [json.loads(line) for line in run("findings", FLOOD, "--format", "ndjson").stdout.splitlines()]
    document = json.loads(run("findings", FLOOD, "--format", "json").stdout)
    assert list(document) == ["schema", "captures", "findings"]
    assert document["findings"] == by_line
    rows = list(csv.DictReader(io.StringIO(run("findings", FLOOD, "--format", "csv").stdout)))
    assert [(row["severity"], row["code"], row["message"]) for row in rows] == [
        (one["severity"], one["code"], one["message"]) for one in by_line
    ]
    assert [row["about"] for row in rows[:2]] == ["198.18.0.2:39941", "198.18.0.1:34553 → 198.18.0.2:39941"]


def test_a_finding_stands_below_the_last_segment_that_shows_it() -> None:
    lines = run("show", str(PCAPS / "unanswered.pcap")).stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "note unanswered:" in line)
    assert lines[at - 2].lstrip().startswith("4  ")
    assert lines[-1].startswith("Findings   Above: ")
    assert "note unanswered" in lines[-1]


def test_json_has_them_and_csv_their_codes() -> None:
    document = json.loads(run("read", FLOOD, "--format", "json").stdout)
    assert [one["code"] for one in document["findings"]] == ["syn-flood"]
    assert [one["code"] for one in document["connections"][0]["findings"]] == ["half-open"]
    rows = list(csv.DictReader(io.StringIO(run("read", FLOOD, "--format", "csv").stdout)))
    assert {row["findings"] for row in rows} == {"half-open", ""}


def test_what_is_serious_of_the_run_is_said_beside_the_table() -> None:
    assert "warn syn-flood: 198.18.0.2:39941: 24 attempts" in run("read", FLOOD).stderr
