"""The chat: three people and a server, each a process, over real UDP; and those who do not keep to the rules."""

from __future__ import annotations

import signal
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import RawFrame, records_of
from handshake_inspect.inspector import Inspector
from handshake_inspect.lab.by_hand.chat import TEXT_OCTETS_MAX, VERBS, Message, decode, why_no_name
from handshake_inspect.lab.by_hand.echo_plans import split_place
from handshake_inspect.lab.vantage import raw_frames
from handshake_inspect.lab.world import in_private_world
from tests.lab.privileges import needs_private_world
from tests.lab.programs_by_hand import Ended, Program, run_program


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def guest(name: str, address: str, *options: str) -> Program:
    return Program("chat", "join", "--name", name, address, *options)


def three_people() -> tuple[Ended, list[Ended], list[RawFrame]]:
    """ANNA, BEN and CLARA come in this order; ANNA speaks, then BEN; BEN leaves, then ANNA, then CLARA."""
    with LiveCapture("lo") as capture, Program("chat", "serve", "--people", "3") as server:
        address = server.address()
        with guest("ANNA", address) as anna, guest("BEN", address, "--quiet") as ben, guest("CLARA", address) as clara:
            # Each waits for what the one before has brought about, so that the order is the same in every run.
            first = [anna.line(), ben.line(), clara.line()]
            del first
            anna.type("good morning\n")
            while ben.line() != "ANNA: good morning":
                pass
            ben.type("hello \x1b[31m\n/quit\n")
            left = [ben.end()]
            while clara.line() != "* BEN has left":
                pass
            while anna.line() != "* BEN has left":
                pass
            left.append(anna.end())
            while clara.line() != "* ANNA has left":
                pass
            left.append(clara.end())
        served = server.end()
        return served, left, [frame for block in capture.drain() for frame in raw_frames(block)]


def test_three_people_talk_through_one_server() -> None:
    served, left, frames = in_private_world(three_people)
    assert [one.code for one in left] == [0, 0, 0]
    assert left[0].err == ""
    assert served.out == "3 people came, 2 messages\n"
    assert "send(b'LEAVE') = 5" in left[1].calls
    inspector = Inspector()
    inspector.add_records(records_of(frames), inspector.begin_capture("lo", "live"))
    exchanges = inspector.result().exchanges
    assert len(exchanges) == 3  # one for each person, all with the server
    assert len({exchange.responder for exchange in exchanges}) == 1
    assert not any(exchange.errors for exchange in exchanges)


def hostile_text() -> str:
    with Program("chat", "serve", "--people", "2") as server:
        address = server.address()
        with guest("ANNA", address, "--stay", "5", "--quiet") as anna:
            anna.line()
            run_program("chat", "join", "--name", "BEN", address, "--message", "\x1b[31mred\u202e")
            heard = [anna.line() for _ in range(3)]
            anna.end(signal.SIGINT)
            server.end()
    return heard[1]


def test_hostile_text_is_escaped_for_a_pipe_too() -> None:
    assert in_private_world(hostile_text) == "BEN: \\x1b[31mred\\u202e"


def name_taken() -> list[Ended]:
    with Program("chat", "serve") as server:
        address = server.address()
        with guest("ANNA", address) as anna:
            anna.line()
            refused = [
                run_program("chat", "join", "--name", name, address, "--message", "x") for name in ("anna", "A B", "")
            ]
            return [*refused, server.end(signal.SIGTERM), anna.end()]


def test_a_name_that_is_taken_or_is_none_is_refused_in_one_line() -> None:
    taken, spaced, empty, served, anna = in_private_world(name_taken)
    assert [taken.code, spaced.code, empty.code] == [2, 2, 2]
    assert taken.err.splitlines()[-1] == "Error: the server does not let anna in: the name anna is taken"
    assert spaced.err == "Error: 'A B': a name has 1 to 20 letters, digits, - and _, and no space\n"
    assert served.code == anna.code == 0
    assert anna.out.splitlines()[-1] == "* the server has ended the chat"


def vanished() -> tuple[str, Ended]:
    """CARL's process dies without a word; the next datagram to him brings an ICMP error back."""
    with Program("chat", "serve", "--people", "2") as server:
        address = server.address()
        with guest("ANNA", address) as anna:
            anna.line()
            with guest("CARL", address) as carl:
                carl.line()
                joined = anna.line()
                carl.process.kill()
                carl.process.wait()
                anna.type("are you there?\n")
                told = anna.line()
            anna.end()
        assert joined == "* CARL has joined"
        return told, server.end()


def test_icmp_tells_the_server_who_has_vanished() -> None:
    told, served = in_private_world(vanished)
    assert told == "* CARL has vanished without a word"
    assert any(call.startswith("recvmsg(MSG_ERRQUEUE) = about 127.0.0.1:") for call in served.calls)


def silent() -> tuple[str, Ended]:
    """MUTE has a socket, so no ICMP error comes, and answers no question."""
    with Program("chat", "serve", "--keep-alive", "0.4", "--people", "2") as server:
        address = server.address()
        with guest("ANNA", address) as anna, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            anna.line()
            mute.sendto(b"JOIN MUTE", split_place(address))
            assert anna.line() == "* MUTE has joined"
            told = anna.line()
            anna.end()
            return told, server.end()


def test_who_answers_no_question_has_vanished() -> None:
    told, served = in_private_world(silent)
    assert told == "* MUTE has vanished without a word"
    assert "└ MUTE has vanished: nothing heard for 1." in served.err
    assert "ANNA has vanished" not in served.err  # she has answered each time
    assert "recvfrom(65535) = b'PONG', 127.0.0.1:" in served.err


def malformed() -> tuple[list[bytes], Ended]:
    with Program("chat", "serve", "--people", "1") as server:
        place = split_place(server.address())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.settimeout(5)
            for octets in (b"", b"\xff\xfe", b"HELO", b"SAY" * 1000, b"PING", b"JOIN \x1b[2J", b"SAY hello"):
                stranger.sendto(octets, place)
            answers = [stranger.recv(2000) for _ in range(2)]
            stranger.sendto(b"JOIN ANNA", place)
            stranger.sendto(b"JOIN ANNA", place)
            stranger.sendto(b"JOIN OTHER", place)
            answers += [stranger.recv(2000) for _ in range(3)]
            stranger.sendto(b"LEAVE", place)
            return answers, server.end()


def test_the_server_survives_what_is_not_of_the_chat() -> None:
    answers, served = in_private_world(malformed)
    assert answers == [
        b"REFUSED a name has 1 to 20 letters, digits, - and _, and no space",
        b"REFUSED you have not joined, or were taken for gone: join again",
        b"WELCOME",
        b"WELCOME",  # to ask twice is no fault: the answer may have been lost
        b"REFUSED you are ANNA already",
    ]
    assert served.code == 0
    assert served.err.count("ignored, it is not of the chat: ") == 4
    assert "\x1b" not in served.err


def nobody_there() -> Ended:
    return run_program("chat", "join", "--name", "ANNA", "9", "--message", "x")


def test_a_chat_without_a_server_is_refused_by_icmp() -> None:
    ended = in_private_world(nobody_there)
    assert ended.code == 2
    assert "ECONNREFUSED: refused: ICMP port unreachable came back" in ended.err.splitlines()[-1]


@given(st.sampled_from(VERBS), st.text(max_size=50))
def test_a_message_is_understood_as_it_was_sent(verb: str, text: str) -> None:
    message = Message(verb, text.rstrip(" "))  # type: ignore[arg-type]
    assert decode(message.encode()) == message


@given(st.binary(max_size=TEXT_OCTETS_MAX * 2))
def test_any_octets_are_a_message_or_are_refused(octets: bytes) -> None:
    try:
        assert decode(octets).verb in VERBS
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("name", "good"), [("ANNA", True), ("Zoë-2", True), ("", False), ("a b", False), ("x" * 21, False)]
)
def test_a_name_is_one_short_word(name: str, good: bool) -> None:
    assert (why_no_name(name) == "") is good
