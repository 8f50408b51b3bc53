"""Connections made by hand, for tests of the views: what the engine would say about some ordinary sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handshake_inspect.connections.connection import (
    NONE_PASSED,
    Arithmetic,
    Connection,
    End,
    Endpoint,
    Frame,
    Handshake,
    Happened,
    IcmpError,
    Pair,
    StateAt,
    Step,
    SynOptions,
    Teardown,
    TimeWait,
)
from handshake_inspect.tcp.states import Event

SENT = {"SYN": Event.SEND_SYN, "FIN": Event.SEND_FIN, "RST": Event.SEND_RST}
X, Y = 2868195532, 1094795585
#: 2024-11-20 23:00:00 UTC.
BEGIN_NS = 1732143600_000_000_000
BITH = b"bith"
#: What Linux offers on loopback.
OFFER = SynOptions(65495, 7, True, True)


@dataclass(frozen=True)
class Call:
    end: str
    name: str
    text: str
    result: str
    entered_ns: int
    returned_ns: int
    shown: str = ""
    shown_octets: int = 0


def call(end: str, text: str, result: str, entered_us: int, returned_us: int) -> Call:
    return Call(end, text.split("(")[0], text, result, at(entered_us), at(returned_us))


def at(microseconds: int) -> int:
    return BEGIN_NS + microseconds * 1000


def right(name: str, symbolic: str, number: int, iss: int, reason: str = "") -> Arithmetic:
    """A line of arithmetic that holds; `number` is relative."""
    absolute = (iss + number) % 2**32
    return Arithmetic(name, symbolic, absolute, number, absolute, True, reason)


class Story:
    """Steps, told one by one."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.now: dict[End, StateAt] = {
            "originator": StateAt("CLOSED", "sent"),
            "responder": StateAt("LISTEN", "sent"),
        }

    def tell(
        self,
        us: int,
        sender: End,
        flags: str,
        seq: tuple[int, str],
        ack: tuple[int, str] | None,
        *arithmetic: Arithmetic,
        octets: int = 0,
        originator: StateAt | None = None,
        responder: StateAt | None = None,
        passed: StateAt | None = None,
        ignored: str | None = None,
        again: bool = False,
    ) -> None:
        own, peer = (X, Y) if sender == "originator" else (Y, X)
        self.now["originator"] = originator or self.now["originator"]
        self.now["responder"] = responder or self.now["responder"]
        self.steps.append(
            Step(
                frame=len(self.steps) + 1,
                time_ns=at(us),
                sender=sender,
                flags=flags,
                seq=(own + seq[0]) % 2**32,
                ack=None if ack is None else (peer + ack[0]) % 2**32,
                relative_seq=seq[0],
                relative_ack=None if ack is None else ack[0],
                symbolic_seq=seq[1],
                symbolic_ack=None if ack is None else ack[1],
                window=512,
                payload_octets=octets,
                states=Pair(self.now["originator"], self.now["responder"]),
                events=tuple(Happened(sender, SENT[bit]) for bit in flags.split(",") if bit in SENT),
                arithmetic=arithmetic,
                ignored=ignored,
                retransmission=again,
                options=OFFER if "SYN" in flags else None,
                passed=Pair((), (passed,)) if passed else NONE_PASSED,
            )
        )


def sent(state: str) -> StateAt:
    return StateAt(state, "sent")


def proven(state: str) -> StateAt:
    return StateAt(state, "acknowledged")


def assumed(state: str) -> StateAt:
    return StateAt(state, "assumed")


def opened() -> Story:
    """The ordinary handshake."""
    story = Story()
    o: End = "originator"
    r: End = "responder"
    story.tell(38, o, "SYN", (0, "x"), None, originator=sent("SYN-SENT"))
    story.tell(
        49, r, "SYN,ACK", (0, "y"), (1, "x+1"), right("ack", "x+1", 1, X, "SYN counts one"),
        responder=sent("SYN-RECEIVED"),
    )  # fmt: skip
    story.tell(
        58, o, "ACK", (1, "x+1"), (1, "y+1"),
        right("seq", "x+1", 1, X), right("ack", "y+1", 1, Y, "SYN counts one"),
        originator=proven("ESTABLISHED"), responder=assumed("ESTABLISHED"),
    )  # fmt: skip
    return story


def echoed() -> Story:
    """... and one echo."""
    story = opened()
    o: End = "originator"
    r: End = "responder"
    story.tell(
        120, o, "PSH,ACK", (1, "x+1"), (1, "y+1"), right("seq", "x+1", 1, X), octets=4,
    )  # fmt: skip
    story.tell(
        131, r, "ACK", (1, "y+1"), (5, "x+1+4"), right("ack", "x+1+4", 5, X, "4 octets"),
        responder=proven("ESTABLISHED"),
    )  # fmt: skip
    story.tell(170, r, "PSH,ACK", (1, "y+1"), (5, "x+1+4"), right("seq", "y+1", 1, Y), octets=4)
    story.tell(176, o, "ACK", (5, "x+1+4"), (5, "y+1+4"), right("ack", "y+1+4", 5, Y, "4 octets"))
    return story


def four_way_story() -> Story:
    story = echoed()
    o: End = "originator"
    r: End = "responder"
    story.tell(
        391, o, "FIN,ACK", (5, "u"), (5, "v"), right("u", "x+1+4", 5, X, "4 octets sent"),
        originator=sent("FIN-WAIT-1"),
    )  # fmt: skip
    story.tell(
        432, r, "ACK", (5, "v"), (6, "u+1"), right("ack", "u+1", 6, X, "FIN counts one"),
        originator=proven("FIN-WAIT-2"), responder=proven("CLOSE-WAIT"),
    )  # fmt: skip
    story.tell(
        161353, r, "FIN,ACK", (5, "w"), (6, "u+1"), right("w", "v+0", 5, Y, "0 octets since v"),
        responder=sent("LAST-ACK"),
    )  # fmt: skip
    story.tell(
        161362, o, "ACK", (6, "u+1"), (6, "w+1"), right("ack", "w+1", 6, Y, "FIN counts one"),
        originator=proven("TIME-WAIT"), responder=assumed("CLOSED"),
    )  # fmt: skip
    return story


def four_way() -> Connection:
    """The ordinary echo session: three-way handshake, 4 octets each way, four-way close by the client."""
    steps = tuple(four_way_story().steps)
    options = SynOptions(mss=65495, window_scale=7, sack_permitted=True, timestamps=True)
    return Connection(
        stream=0,
        capture="echo.pcap",
        ip_version=4,
        encapsulation=(),
        originator=Endpoint("127.0.0.1", 54668),
        responder=Endpoint("127.0.0.1", 8000),
        first_frame=1,
        last_frame=len(steps),
        first_ns=steps[0].time_ns,
        last_ns=steps[-1].time_ns,
        segments=Pair(6, 5),
        duplicates=0,
        octets=Pair(4, 4),
        sent_octets=Pair(4, 4),
        missing_octets=Pair(0, 0),
        handshake=Handshake(
            kind="three-way",
            complete=True,
            missing=(),
            syn_retransmissions=0,
            syn_ack_retransmissions=0,
            syn_to_syn_ack_ns=11000,
            syn_ack_to_ack_ns=9000,
            initial_rtt_ns=20000,
            rtt_ambiguous=False,
            fast_open=None,
            options=Pair(options, options),
        ),
        teardown=Teardown(
            kind="four-way",
            complete=True,
            missing=(),
            closed_first="originator",
            reset_by=None,
            fin_retransmissions=0,
            half_closed_ns=160962000,
        ),
        resets=(),
        icmp_errors=(),
        states=Pair(
            ("CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"),
            ("LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"),
        ),
        time_wait=(
            TimeWait(
                owner="originator",
                entered_ns=steps[-1].time_ns,
                entered_frame=steps[-1].frame,
                restarts=(),
                profile="linux",
                earliest_end_ns=steps[-1].time_ns + 60_000_000_000,
                outcome="not-captured",
            ),
        ),
        findings=(),
        conn_state="SF",
        history="ShADadFf",
        completeness=31,
        steps=steps,
        initial_seq=Pair(X, Y),
    )


def three_segment() -> Connection:
    """The same, but the server closes at once: its FIN carries the ACK."""
    story = echoed()
    story.tell(
        391, "originator", "FIN,ACK", (5, "u"), (5, "v"), right("u", "x+1+4", 5, X, "4 octets sent"),
        originator=sent("FIN-WAIT-1"),
    )  # fmt: skip
    story.tell(
        402, "responder", "FIN,ACK", (5, "w"), (6, "u+1"),
        right("w", "v+0", 5, Y, "0 octets since v"), right("ack", "u+1", 6, X, "FIN counts one"),
        responder=sent("LAST-ACK"), passed=proven("CLOSE-WAIT"),
    )  # fmt: skip
    story.tell(
        411, "originator", "ACK", (6, "u+1"), (6, "w+1"), right("ack", "w+1", 6, Y, "FIN counts one"),
        originator=proven("TIME-WAIT"), responder=assumed("CLOSED"),
    )  # fmt: skip
    base = four_way()
    steps = tuple(story.steps)
    wait = replace(
        base.time_wait[0],
        entered_ns=steps[-1].time_ns,
        entered_frame=steps[-1].frame,
        earliest_end_ns=steps[-1].time_ns + 60_000_000_000,
    )
    return replace(
        base,
        stream=1,
        steps=steps,
        last_ns=steps[-1].time_ns,
        last_frame=len(steps),
        segments=Pair(6, 4),
        teardown=replace(base.teardown, kind="three-segment", half_closed_ns=11000),
        states=Pair(
            ("CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "TIME-WAIT"),
            base.states.responder,
        ),
        time_wait=(wait,),
    )


def aborted() -> Connection:
    """An old duplicate RST is ignored; then the server resets. One sequence number is wrong."""
    story = echoed()
    story.tell(
        200, "responder", "RST", (9005, "y+9005"), None,
        ignored="its number is 9,000 beyond RCV.NXT: a challenge ACK, RFC 5961 §3",
    )  # fmt: skip
    wrong = Arithmetic("ack", "y+1+4", (Y + 5) % 2**32, 5, (Y + 7) % 2**32, False, "2 too many: never sent")
    story.tell(210, "originator", "ACK", (5, "x+1+4"), (7, "y+7"), wrong, ignored="it acks what was never sent")
    story.tell(
        300, "responder", "RST,ACK", (5, "y+1+4"), (5, "x+1+4"), right("seq", "y+1+4", 5, Y, "= RCV.NXT"),
        originator=assumed("CLOSED"), responder=sent("CLOSED"),
    )  # fmt: skip
    base = four_way()
    steps = tuple(story.steps)
    return replace(
        base,
        stream=2,
        steps=steps,
        last_ns=steps[-1].time_ns,
        sent_octets=Pair(None, None),
        missing_octets=Pair(None, None),
        teardown=Teardown("aborted", True, (), None, "responder", 0, None),
        states=Pair(
            ("CLOSED", "SYN-SENT", "ESTABLISHED", "CLOSED"), ("LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSED")
        ),
        time_wait=(),
        conn_state="RSTR",
        history="ShADadr",
        completeness=47,
    )


def long_transfer(segments: int = 600) -> Connection:
    """A handshake, then a long download, acknowledged every second segment."""
    story = opened()
    sent_octets = 0
    for number in range(segments):
        seq = (1 + sent_octets, f"y+1+{sent_octets}" if sent_octets else "y+1")
        story.tell(100 + 10 * number, "responder", "ACK", seq, (1, "x+1"), octets=1460)
        sent_octets += 1460
        if number % 2:
            ack = (1 + sent_octets, f"y+1+{sent_octets}")
            story.tell(105 + 10 * number, "originator", "ACK", (1, "x+1"), ack)
    base = four_way()
    steps = tuple(story.steps)
    return replace(
        base,
        stream=3,
        steps=steps,
        last_ns=steps[-1].time_ns,
        octets=Pair(0, sent_octets),
        sent_octets=Pair(None, None),
        missing_octets=Pair(None, None),
        teardown=Teardown("open", None, (), None, None, 0, None),
        states=Pair(("CLOSED", "SYN-SENT", "ESTABLISHED"), ("LISTEN", "SYN-RECEIVED", "ESTABLISHED")),
        time_wait=(),
        conn_state="S1",
        history="ShAd",
        completeness=15,
    )


def icmp_error(us: int, frame: int, message: tuple[int, int, str, str], source: str = "203.0.113.9") -> IcmpError:
    """An error that quotes 8 octets of the SYN; `message`: type, code, words and kind."""
    return IcmpError(
        frame=frame,
        time_ns=at(us),
        source=source,
        type=message[0],
        code=message[1],
        message=message[2],
        kind=message[3],
        quotes="originator",
        seq=X,
        relative_seq=0,
        symbolic_seq="x",
        flags=None,
        mtu=None,
        answers_syn=True,
        was_sent=True,
    )


def unreachable() -> Connection:
    """Two routers tell that a SYN went nowhere, and so does the host itself."""
    story = Story()
    story.now["responder"] = StateAt(None, None)
    story.tell(0, "originator", "SYN", (0, "x"), None, originator=sent("SYN-SENT"))
    story.tell(1_000_000, "originator", "SYN", (0, "x"), None, again=True)
    base = four_way()
    steps = (story.steps[0], replace(story.steps[1], frame=4))
    return replace(
        base,
        stream=4,
        steps=steps,
        last_frame=4,
        last_ns=steps[-1].time_ns,
        segments=Pair(2, 0),
        octets=Pair(0, 0),
        sent_octets=Pair(None, None),
        missing_octets=Pair(None, None),
        handshake=replace(
            base.handshake, kind="unreachable", complete=False, syn_retransmissions=1, syn_to_syn_ack_ns=None,
            syn_ack_to_ack_ns=None, initial_rtt_ns=None, options=Pair(base.handshake.options.originator, None),
        ),
        teardown=Teardown("none", None, (), None, None, 0, None),
        icmp_errors=(
            icmp_error(3_000, 2, (3, 1, "host unreachable", "soft")),
            icmp_error(4_000, 3, (3, 13, "communication administratively prohibited", "hard"), "203.0.113.99"),
            icmp_error(1_000_500, 5, (3, 3, "port unreachable", "hard"), "127.0.0.1"),
            icmp_error(1_000_600, 6, (3, 1, "host unreachable", "soft")),
        ),
        states=Pair(("CLOSED", "SYN-SENT"), None),
        time_wait=(),
        conn_state="S0",
        history="S",
        completeness=1,
        initial_seq=Pair(X, None),
    )  # fmt: skip


def too_big() -> Connection:
    """The ordinary session, with a router that tells the client of a smaller MTU, and a forged error to the server."""
    base = four_way()
    needed = replace(
        icmp_error(125, 21, (3, 4, "fragmentation needed", "path-mtu")), answers_syn=False, mtu=1400,
        seq=(X + 1) % 2**32, relative_seq=1, symbolic_seq="x+1", flags="PSH,ACK",
    )  # fmt: skip
    forged = replace(
        icmp_error(180, 22, (3, 2, "protocol unreachable", "hard"), "127.0.0.1"), answers_syn=False, quotes="responder",
        seq=(Y + 90_000) % 2**32, relative_seq=90_000, symbolic_seq="y+1+89999", was_sent=False,
    )  # fmt: skip
    cut = replace(
        needed, frame=23, time_ns=at(500_000), seq=None, relative_seq=None, symbolic_seq=None, flags=None, mtu=None
    )
    return replace(base, stream=5, icmp_errors=(needed, forged, cut))


def calls() -> list[Call]:
    """The socket calls of the ordinary session."""
    return [
        call("server", "bind(127.0.0.1:8000)", "0", -31402, -31380),
        call("server", "listen(5)", "0", -31377, -31370),
        call("server", "accept()", "127.0.0.1:54668", -31365, 80),
        call("client", "connect(127.0.0.1:8000)", "0", 0, 71),
        call("client", "send(b'bith')", "4", 104, 135),
        call("client", "recv(1024)", "b'BITH'", 139, 181),
        call("server", "recv(1024)", "b'bith'", 90, 150),
        call("server", "send(b'BITH')", "4", 155, 183),
        call("server", "recv(1024)", "b''", 190, 440),
        call("client", "close()", "0", 380, 395),
        call("server", "close()", "0", 161340, 161360),
    ]


PAYLOAD: dict[tuple[Frame, int], bytes] = {(4, (X + 1) % 2**32): b"bith", (6, (Y + 1) % 2**32): b"BITH"}
