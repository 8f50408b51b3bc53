"""`demo` where there is no TCP connection: datagrams have a picture of their own, a Unix socket leaves nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.lab.privileges import needs_private_world, needs_root


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def test_demo_udp_draws_an_exchange(tmp_path: Path) -> None:
    kept = tmp_path / "udp.pcap"
    done = run("demo", "udp", "-w", str(kept), COLUMNS="100")
    assert done.returncode == 0
    assert '─ 4 octets "bith" ─' in done.stdout
    assert "recvfrom(65535) = b'bith', 127.0.0.1:" in done.stdout
    assert "none: UDP has no handshake. Nothing was agreed before the first datagram" in done.stdout
    assert re.search(r"Answer +after \d", done.stdout)
    assert "1 / 1" in run("read", "--udp", str(kept)).stdout


def test_demo_udp_unreachable_shows_the_refusal() -> None:
    shown = run("demo", "udp-unreachable", COLUMNS="100").stdout
    assert "◀───── ICMP port unreachable ─" in shown
    assert "recv(1024) = ECONNREFUSED" in shown
    assert "this is how UDP refuses" in shown


def test_demo_unix_captures_nothing_and_says_why() -> None:
    done = run("demo", "unix", COLUMNS="100")
    assert done.returncode == 0
    for call in ("bind(echo.sock) = 0", "send(b'bith') = 4", "recv(1024) = b'BITH'", "recv(1024) = b''"):
        assert call in done.stdout
    assert "0 frames captured on lo of a private network" in done.stdout


def test_demo_unix_shows_no_octets_if_none_are_wanted() -> None:
    drawn = run("demo", "unix", "--payload", "0", COLUMNS="100").stdout
    assert "send(4 octets) = 4" in drawn
    assert "bith" not in drawn.lower()


def test_on_a_host_where_others_talk_the_unix_socket_is_not_shown() -> None:
    needs_root("capturing on this host's loopback needs root")
    done = run("lab", "run", "unix", "--host")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: unix: others talk on this host's loopback too")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["refused", "--close-first", "server"], "refused: its programs have no use for close-first; take four-way"),
        (["unanswered", "--message", "x"], "unanswered: its programs have no use for message; take four-way"),
        (["reset", "--half-close"], "reset: its programs have no use for half-close; take four-way"),
        (["udp", "--half-close", "--port", "9"], "udp: its programs have no use for half-close; take four-way"),
        (["lost-syn", "--half-close"], "lost-syn is a script, which has no plan to change (half-close); take four-way"),
        (["udp", "--verify"], "udp: there is no state to verify: it has no TCP connection"),
        (["nope", "--verify"], "nope: no such scenario"),
        (["--differences", "nope"], "--differences goes alone: it runs no scenario"),
        (["--differences", "--all"], "--differences goes alone: it runs no scenario"),
    ],
)
def test_what_would_change_nothing_is_refused(arguments: list[str], says: str) -> None:
    done = run("demo", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {says}")
    assert done.stderr.count("\n") == 1
