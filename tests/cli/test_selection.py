"""Choosing by addresses, ports, times and numbers: on columns, and the same as asking every connection."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.cli.choose import choice
from handshake_inspect.cli.options import SelectionOptions
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from tests.cli.running import PCAPS, run

#: Sorted, so that streams have these numbers.
ALL = [PCAPS / f"{name}.pcap" for name in (
    "four-way", "half-close", "ipv6", "refused", "reset", "server-first", "three-segment", "udp-unreachable", "udp",
    "unanswered",
)]  # fmt: skip
NAMES = [str(path) for path in ALL]
FOUND: Inspection = inspect(ALL)
FIRST_NS = min(one.first_ns for one in FOUND.captures if one.first_ns is not None)


def streams(*options: str) -> list[int]:
    out = run("read", *NAMES, "--format", "ndjson", *options).stdout
    return [json.loads(line)["stream"] for line in out.splitlines()]


def exchanges(*options: str) -> list[str]:
    found = json.loads(run("read", *NAMES, "--format", "json", *options).stdout)["exchanges"]
    return [one["capture"].rpartition("/")[2] for one in found]


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--net", "::/0"], [7]),
        (["--net", "::1"], [7]),
        (["--net", "127.0.0.0/8"], [*range(7)]),
        (["--net", "127.0.0.0/8", "--net", "::1/128"], [*range(8)]),
        (["--net", "10.0.0.0/8", "--net", "::1/128"], [7]),
        (["--net", "127.0.0.0/8", "--host", "::1"], []),
        (["--net", "0.0.0.0/0", "--port", "45243"], [0]),
        (["--stream", "3"], [3]),
        (["-s", "6,0-1", "-s", "4"], [0, 1, 4, 6]),
        (["--stream", "5-"], [5, 6, 7]),
        (["--stream", "5-99"], [5, 6, 7]),
        (["--stream", "5-7", "--net", "::1"], [7]),
        (["--stream", "1-4", "--where", 'teardown.kind == "none"'], [4]),
        (["--stream", "1-4", "--sort", "-stream"], [4, 3, 2, 1]),
        (["--stream", "1-4", "--sort", "-stream", "--limit", "2"], [4, 3]),
        # four-way begins first, at 28.188 s, and ends at 28.545 s; server-first lasts to 29.318 s
        (["--until", "+0s"], [0]),
        (["--until", "+0.552s"], [0, 1]),
        (["--since", "+0.356603s", "--until", "+0.552s"], [0, 1]),
        (["--since", "+0.357s", "--until", "+0.552s"], [1]),
        (["--since", "2026-11-21T06:40:34Z"], [7]),
        (["--since", "06:40:33.5"], [6, 7]),
        (["--since", "1795243229.4", "--until", "1795243230.0"], [3]),
        (["--since", "99999999999"], []),
        (["--until", "99999999999"], [*range(8)]),
    ],
)
def test_connections_are_chosen(options: list[str], chosen: list[int]) -> None:
    assert streams(*options) == chosen


def test_what_began_before_since_is_judged_with_all_its_segments() -> None:
    (line,) = run("read", NAMES[0], "--since", "+100ms", "--format", "ndjson").stdout.splitlines()
    found = json.loads(line)
    assert (found["handshake"]["kind"], found["teardown"]["kind"]) == ("three-way", "four-way")
    assert sum(found["segments"].values()) == 11


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ([], ["udp-unreachable.pcap", "udp.pcap"]),
        (["--net", "::/0"], []),
        (["--net", "127.0.0.1/32"], ["udp-unreachable.pcap", "udp.pcap"]),
        (["--port", "32972"], ["udp.pcap"]),
        (["--host", "127.0.0.0/8", "--since", "06:40:34.9"], ["udp-unreachable.pcap"]),
        (["--until", "06:40:34.8"], ["udp.pcap"]),
        (["--stream", "0-"], []),
    ],
)
def test_exchanges_are_chosen(options: list[str], chosen: list[str]) -> None:
    assert exchanges(*options) == chosen


@pytest.mark.parametrize("format_", ["table", "json", "ndjson", "csv", "zeek", "markdown"])
def test_every_format_obeys(format_: str) -> None:
    out = run("read", *NAMES, "--stream", "4,5", "--format", format_, COLUMNS="200").stdout
    assert (out.count("35498"), out.count("48172"), out.count("47304")) == (1, 1, 0)


def test_check_checks_what_is_chosen() -> None:
    kinds = ["--together", "--teardown", "four-way"]
    assert run("check", *NAMES, *kinds, "--stream", "0,2-3").stdout == "ok: 3 connections\n"
    assert run("check", *NAMES, *kinds, "--net", "::1").stdout == "ok: 1 connection\n"
    assert run("check", *NAMES, *kinds, "--until", "+0s").stdout == "ok: 1 connection\n"
    assert run("check", *NAMES, *kinds, "--stream", "4-5").returncode == 1


@pytest.mark.parametrize(("command", "prints"), [(["read"], "four-way"), (["check", "--teardown", "open"], "FAILED")])
def test_a_stream_that_is_not_there_gives_2_and_the_others(command: list[str], prints: str) -> None:
    done = run(*command, NAMES[0], "--stream", "0,7,9-")
    assert done.returncode == 2
    assert prints in done.stdout
    says = "there is no stream 7, no stream 9 and later; the run has 1 connection, from 0"
    assert done.stderr == f"Error: --stream: {says}\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--net", "10.0.0.0/33"], "'10.0.0.0/33' is no IP address and no network"),
        (["--net", "::1", "--net", "here"], "for '--net': 'here'"),
        (["--stream", "x"], "'x' is no number of a stream"),
        (["--stream", "1,,2"], "'' is no number of a stream"),
        (["--stream", ""], "'' is no number of a stream"),
        (["--stream", "5-2"], "'5-2' is a range that ends before it begins"),
        (["--stream", "-1"], "'-1' is no number of a stream"),
        (["--since", "noon"], "for '--since': 'noon' is no time; write 2026-11-21T06:40:30.5Z"),
        (["--since", "+2s", "--until", "+1s"], "for '--until': it lies before --since"),
        (["--sort", "resetz"], "there is no field resetz. Did you mean resets, resets.by or resets.valid? See"),
    ],
)
def test_a_bad_value_gives_2_and_one_line(options: list[str], says: str) -> None:
    done = run("read", NAMES[0], *options)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_a_stream_that_is_not_there_is_one_line_that_says_where() -> None:
    one, other = str(PCAPS / "four-way.pcap"), str(PCAPS / "reset.pcap")
    for command in (["read", one], ["report", one, "-o", "/dev/null"]):
        done = run(*command, "-s", "99")
        assert (done.returncode, done.stderr) == (
            2, "Error: --stream: there is no stream 99; the run has 1 connection, from 0\n",
        )  # fmt: skip
    done = run("diff", one, other, "-s", "9")
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            f"Error: --stream: there is no stream 9; {side} has 1 connection, from 0"
            for side in (f"A ({one})", f"B ({other})")
        ],
    )


#: Texts of networks near the addresses of the captures, and any other.
NETWORKS = st.builds(
    lambda address, length: f"{address}/{min(length, 32 if '.' in address else 128)}",
    st.sampled_from(["127.0.0.1", "126.255.255.255", "::1", "::", "8000::", "0.0.0.1", "::7f00:1"])
    | st.ip_addresses().map(str),
    st.integers(0, 128),
)
PORTS = st.sampled_from([one.originator.port for one in FOUND.connections] + [1, 65535])
OFFSETS = st.integers(-(10**9), 8 * 10**9)


@given(
    st.lists(NETWORKS, max_size=3), st.none() | NETWORKS, st.none() | PORTS, st.none() | OFFSETS, st.none() | OFFSETS
)
def test_columns_choose_what_each_connection_would(
    nets: list[str], host: str | None, port: int | None, since: int | None, until: int | None
) -> None:
    if since is not None and until is not None:
        since, until = min(since, until), max(since, until)

    def spelled(offset: int | None) -> str | None:
        return None if offset is None else "{}.{:09d}".format(*divmod(FIRST_NS + offset, 10**9))

    chosen = choice(SelectionOptions(net=tuple(nets), host=host, port=port, since=spelled(since), until=spelled(until)))

    def wanted(one: Any) -> bool:
        addresses = [ipaddress.ip_address(end.ip) for end in (one.originator, one.responder)]
        ports = [one.originator.port, one.responder.port]
        inside = [any(a in ipaddress.ip_network(net, strict=False) for a in addresses) for net in nets]
        return (
            (not nets or any(inside))
            and (host is None or any(a in ipaddress.ip_network(host, strict=False) for a in addresses))
            and (port is None or port in ports)
            and (since is None or one.last_ns >= FIRST_NS + since)
            and (until is None or one.first_ns <= FIRST_NS + until)
        )

    assert chosen.streams(FOUND).tolist() == [one.stream for one in FOUND.connections if wanted(one)]
    assert [one.number for one in chosen.exchanges(FOUND)] == [one.number for one in FOUND.exchanges if wanted(one)]


def test_choosing_makes_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handshake_inspect.connections.model.Connections._make", None)
    asked = SelectionOptions(net=("127.0.0.0/8",), port=45243, since="+0s", until="+9s", streams=("0-",))
    assert choice(asked, limit=5).streams(FOUND).tolist() == [0]


def test_captures_without_a_frame_choose_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(ALL[0].read_bytes()[:24])
    done = run("read", str(empty), "--since", "06:00", "--until", "+1h", "--net", "::/0")
    assert (done.returncode, done.stdout) == (0, "")
