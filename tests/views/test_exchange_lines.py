"""The picture of a UDP exchange: golden at fixed widths, and what it says of answers and refusals."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from handshake_inspect import inspect
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.exchanges import Datagram, DatagramError, Exchange
from handshake_inspect.views.exchange_lines import account, exchange_lines
from handshake_inspect.views.ladder_cells import LadderOptions
from handshake_inspect.views.unix_lines import unix_lines
from tests.views.sessions import Call

PCAPS = Path(__file__).parents[2] / "pcaps"
GOLDEN = Path(__file__).parent / "golden"


def found(name: str) -> tuple[Exchange, list[Datagram | DatagramError]]:
    """What stands in a recorded capture."""
    inspection = inspect(PCAPS / f"{name}.pcap")
    return inspection.exchanges[0], inspection.exchanges.events(0)


def at_fixed_times(name: str) -> tuple[Exchange, list[Datagram | DatagramError]]:
    """The same with ports and times that stay when it is recorded again."""
    exchange, events = found(name)
    begin_ns = 1_700_000_000_000_000_000
    client, server = Endpoint("127.0.0.1", 34457), Endpoint("127.0.0.1", 59228)
    answer_ns = None if exchange.first_answer_ns is None else 205_000
    fixed = replace(exchange, originator=client, responder=server, first_ns=begin_ns, first_answer_ns=answer_ns)
    return fixed, [replace(event, time_ns=begin_ns + 205_000 * place) for place, event in enumerate(events)]


def calls(first_ns: int) -> list[Call]:
    """Those of `ask_udp` and `serve_udp`, around datagrams that were recorded without any."""
    told = [
        ("server", "bind(127.0.0.1:0)", "0", -900, -890),
        ("server", "recvfrom(65535)", "b'bith', 127.0.0.1:34457", -800, 20),
        ("client", "sendto(b'bith', 127.0.0.1:59228)", "4", -10, 12),
        ("client", "recvfrom(65535)", "b'BITH', 127.0.0.1:59228", 15, 90000),
    ]
    return [
        Call(end, text.split("(")[0], text, result, first_ns + entered * 1000, first_ns + returned * 1000)
        for end, text, result, entered, returned in told
    ]


def picture(name: str, options: LadderOptions) -> str:
    exchange, events = at_fixed_times(name)
    payload = {event.frame: b"bith" for event in events if isinstance(event, Datagram)}
    lines = exchange_lines(
        exchange,
        events,
        title="echo over UDP",
        facts=["lo"],
        calls=calls(exchange.first_ns) if name == "udp" else (),
        payload=payload,
        options=options,
    )
    return "".join(line.plain.rstrip() + "\n" for line in lines)


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", ["udp", "udp-unreachable"])
def test_an_exchange_is_drawn_as_before(name: str, width: int) -> None:
    drawn = picture(name, LadderOptions(width=width))
    expected = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(drawn, encoding="utf-8")
    assert drawn == expected.read_text(encoding="utf-8"), "if it is right: UPDATE_GOLDEN=1"


@pytest.mark.parametrize("name", ["udp", "udp-unreachable"])
def test_no_line_is_wider_than_the_terminal(name: str) -> None:
    for width in range(72, 160, 11):
        for clock in ("relative", "utc"):
            for line in picture(name, LadderOptions(width=width, clock=clock)).splitlines():
                assert cell_len(line) <= max(width, 84 if clock == "utc" else 76), (width, line)


def test_what_has_no_room_on_an_arrow_stands_below_it_on_its_senders_side() -> None:
    lines = picture("udp-unreachable", LadderOptions(width=60)).splitlines()
    begin = next(number for number, line in enumerate(lines) if "◀" in line)
    assert lines[begin].endswith(" ◀────────── ICMP port ─")
    assert lines[begin + 1] == "unreachable".rjust(len(lines[begin]) - 2)


def test_the_datagrams_and_errors_of_an_exchange() -> None:
    exchange, (asked, told) = found("udp-unreachable")
    assert asked == Datagram(frame=1, time_ns=exchange.first_ns, sender="originator", payload_octets=4)
    assert isinstance(told, DatagramError)
    assert (told.frame, told.source, told.message, told.quotes) == (2, "127.0.0.1", "port unreachable", "originator")
    _, (asked, answered) = found("udp")
    assert isinstance(answered, Datagram)
    assert (answered.frame, answered.sender, answered.payload_octets) == (2, "responder", 4)


def said(exchange: Exchange, events: list[Datagram | DatagramError]) -> str:
    return " ".join(" ".join(line.plain for line in account(exchange, events, 100)).split())


def test_what_is_said_of_answers_and_refusals() -> None:
    exchange, events = found("udp")
    assert "none: UDP has no handshake." in said(exchange, events)
    assert "Answer after 0." in said(exchange, events)
    silent = replace(exchange, datagrams=replace(exchange.datagrams, responder=0), first_answer_ns=None)
    assert "Answer none: UDP does not say whether the datagram was lost" in said(silent, events[:1])
    refused, errors = found("udp-unreachable")
    assert "Answer none, but an ICMP error. ICMP port unreachable: 127.0.0.1 quotes a datagram" in said(refused, errors)
    twice = said(refused, [*errors, errors[-1]])
    assert "port unreachable, 2 times: 127.0.0.1 quotes a datagram of the client. No socket has that port" in twice
    (_, error) = errors
    assert isinstance(error, DatagramError)
    host = said(refused, [replace(error, message="host unreachable", quotes="responder")])
    assert "host unreachable: 127.0.0.1 quotes a datagram of the server. Closing" in host


def test_a_unix_socket_has_calls_and_an_empty_wire() -> None:
    told = [
        Call("server", "accept", "accept()", "a socket without a name", 1000, 2000),
        Call("client", "connect", "connect(\x1b.sock)", "0", 0, 1500),
    ]
    lines = [line.plain for line in unix_lines(told, 0, title="unix", where="lo", options=LadderOptions(width=100))]
    assert lines[0] == "unix · lo · 0 frames"
    assert any("connect(\\x1b.sock)" in line for line in lines)
    assert "Wire       0 frames captured on lo while this happened." in lines
    assert max(map(cell_len, lines)) <= 100
