"""One connection as plain data, without arrays: how it opened, how it closed, which end waits.

In: nothing; `connections.deciding` and `connections.steps` fill these. Out: the JSON contract (`views.json`), the
ladder (`views.ladder`), and the result of `inspect()`. `None` always means that the capture cannot tell. The terms are
those of RFC 9293 and Zeek.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Literal, NamedTuple, TypeVar

from handshake_inspect.plain import plain
from handshake_inspect.tcp.seqnum import before
from handshake_inspect.tcp.states import Event, StateName

T = TypeVar("T", covariant=True)
End = Literal["originator", "responder"]
ENDS: tuple[End, End] = ("originator", "responder")
#: Literal types, so that a type checker finds a comparison with a value that does not exist.
EndOrBoth = Literal["originator", "responder", "both"]
HandshakeKind = Literal[
    "three-way", "simultaneous-open", "self-connect", "fast-open", "refused", "unreachable", "unanswered", "half-open",
    "abandoned", "invalid", "partial", "not-captured",
]  # fmt: skip
TeardownKind = Literal[
    "four-way", "three-segment", "simultaneous-close", "half-closed", "incomplete", "partial", "reset-after-fin",
    "aborted", "open", "none",
]  # fmt: skip
FastOpen = Literal["requested", "accepted", "declined"]
Outcome = Literal["not-captured", "expired", "reused", "reused-early", "killed", "forgotten"]
SeverityWord = Literal["chat", "note", "warn", "error"]
Basis = Literal["sent", "acknowledged", "assumed", "timer"]
#: A frame: its number in the connection's own capture, or (capture, number) where it lies in another file.
Frame = int | tuple[str, int]


@plain
class Pair(Generic[T]):
    """One value for each end."""

    #: Value of the end that opened (Zeek's term): the sender of the first SYN without ACK, else of the first segment.
    originator: T
    #: Value of the other end.
    responder: T

    def __getitem__(self, end: End) -> T:
        if end == "originator":
            return self.originator
        if end == "responder":
            return self.responder
        raise KeyError(f"{end!r} is no end: originator or responder")

    def __iter__(self) -> Iterator[T]:
        """Yield the originator's, then the responder's."""
        return iter((self.originator, self.responder))


def end_names(handshake_kind: str) -> Pair[str]:
    """Return the names of the ends: client and server where the capture shows which is which."""
    if handshake_kind in ("simultaneous-open", "self-connect", "not-captured"):
        return Pair("originator", "responder")
    return Pair("client", "server")


@plain
class Endpoint:
    """One socket address."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@plain
class SynOptions:
    """What an end offered on its SYN. What is None may have been offered if the list `is_cut`."""

    #: Maximum segment size in octets; None if not offered.
    mss: int | None
    #: Window scale shift count; None if not offered.
    window_scale: int | None
    #: None: the capture cannot tell, as for timestamps.
    sack_permitted: bool | None
    timestamps: bool | None
    #: RFC 7413: "request" for a cookie, or "cookie"; None without the option.
    fast_open: str | None = None
    #: How the SYN is signed: "md5" (RFC 2385) or "tcp-ao" (RFC 5925); None if it is not.
    signature: str | None = None
    #: The snapshot length cut the list: only options before that are known.
    is_cut: bool = False


@plain
class Handshake:
    """How the connection opened."""

    #: three-way, simultaneous-open, self-connect, fast-open, refused, unreachable, unanswered, half-open, abandoned,
    #: invalid, partial or not-captured.
    kind: HandshakeKind
    #: True: both ends are proven ESTABLISHED. False: the opening failed. None: not captured.
    complete: bool | None
    #: Those of "syn", "syn-ack" and "ack" that were not captured, but that later numbers prove were sent.
    missing: tuple[str, ...]
    syn_retransmissions: int
    syn_ack_retransmissions: int
    #: From the first SYN to the first SYN-ACK.
    syn_to_syn_ack_ns: int | None
    #: From the first SYN-ACK to its ACK.
    syn_ack_to_ack_ns: int | None
    #: From the first SYN to the third segment of the handshake.
    initial_rtt_ns: int | None
    #: A SYN or SYN-ACK was sent more than once, so it is unknown which one was answered (Karn).
    rtt_ambiguous: bool
    #: None, "requested", "accepted" or "declined" (RFC 7413). "requested" too if the SYN with data was not answered, or
    #: may not have been: it was sent again without, and the SYN-ACK does not show that it answers the first.
    fast_open: FastOpen | None
    #: What each end offered; None where its SYN was not captured.
    options: Pair[SynOptions | None]


@plain
class Teardown:
    """How the connection closed."""

    #: four-way, three-segment, simultaneous-close, half-closed, incomplete, partial, reset-after-fin, aborted,
    #: open or none.
    kind: TeardownKind
    #: True: both FINs were acknowledged, or an RST took effect. False: stuck or half-closed. None: unknown.
    complete: bool | None
    #: Those of "fin", "ack-of-fin", "peer-fin" and "ack-of-peer-fin" that were not captured, but are proven to be sent.
    missing: tuple[str, ...]
    #: "originator", "responder", "both" (the FINs crossed) or None (no FIN, or unknown).
    closed_first: EndOrBoth | None
    #: Whose RST took effect: "originator", "responder", "both" or None.
    reset_by: EndOrBoth | None
    fin_retransmissions: int
    #: From the first FIN to the other end's first FIN.
    half_closed_ns: int | None


@plain
class Reset:
    """One RST, effective or not."""

    frame: Frame
    by: End
    #: Must the receiver accept it (RFC 9293 §3.5.3, §3.10.7; RFC 5961 §3)? None: unknown.
    valid: bool | None
    #: Why it is valid or not, with the sequence numbers.
    reason: str


@plain
class IcmpError:
    """One ICMP or ICMPv6 error that quotes a segment of the connection (RFC 9293 §3.9.2.2)."""

    frame: Frame
    time_ns: int
    #: Address of its sender: a router on the path, or the other end.
    source: str
    type: int
    code: int
    #: Meaning of its type and code: "port unreachable", "fragmentation needed" ...
    message: str
    #: How TCP must react: "hard" (abort), "soft" (keep trying), "path-mtu" (send smaller segments) or "advice"
    #: (do nothing).
    kind: str
    #: The end whose segment it quotes, which is also its receiver.
    quotes: End
    #: Sequence number of the quoted segment; None if the quote ends before it.
    seq: int | None
    #: seq − ISS of that end, as in `Step`; and the same in symbols, with x or y.
    relative_seq: int | None
    symbolic_seq: str | None
    #: Control bits of the quoted segment, as in `Step`; None if the quote ends before them.
    flags: str | None
    #: MTU of the next hop in octets; None if the error names none.
    mtu: int | None
    #: It quotes the originator's SYN.
    answers_syn: bool
    #: Did that end send a segment with this number before? False: the error is forged, or about an older connection
    #: (RFC 5927 §4.1: to be ignored). None: unknown.
    was_sent: bool | None


@plain
class Restart:
    """One segment that restarts a TIME-WAIT."""

    frame: Frame
    time_ns: int
    #: "FIN" (RFC 9293 §3.10.7.4, eighth), or "data" or "ACK", which restart it only in some profiles.
    segment: str


@plain
class Reuse:
    """The next connection of the same two sockets, which begins in a TIME-WAIT or after it."""

    #: Stream number of the next connection.
    stream: int
    #: The end that opened it, named by its role in the connection that left the TIME-WAIT.
    by: End
    #: The rules that allow the reuse; empty if none does. "expired": TIME-WAIT was over. "timestamps": its SYN's
    #: timestamp is newer than the last one, or the old connection had none (RFC 6191 §2). "initial-number": its SYN's
    #: sequence number is above the last one, and its timestamp is not older (RFC 6191 §2).
    rules: tuple[str, ...]
    #: Sequence number of its SYN, and the last one that the same end had used before: that of its FIN.
    initial_seq: int
    last_seq: int | None
    #: Timestamp of its SYN, and the last one that the same end had sent before (RFC 7323); None without the option.
    timestamp: int | None
    last_timestamp: int | None
    #: Initial sequence number of the other end, and the last one that it had used before. If that end is in TIME-WAIT,
    #: RFC 9293 §3.6.1 (MAY-2) asks for a higher one.
    answer_seq: int | None
    last_answer_seq: int | None

    @property
    def answer_is_higher(self) -> bool | None:
        """Is the answer's sequence number above the last one, modulo 2**32? None if one of them is unknown."""
        if self.answer_seq is None or self.last_answer_seq is None:
            return None
        return before(self.last_answer_seq, self.answer_seq)


@plain
class TimeWait:
    """One end's TIME-WAIT."""

    owner: End
    entered_ns: int
    #: The segment that proves that it had begun.
    entered_frame: Frame
    #: Segments that restarted it, by the rules of the profile.
    restarts: tuple[Restart, ...]
    #: The assumed rules: a name of `tcp.time_wait.PROFILES`, or a number of seconds ("45s").
    profile: str
    earliest_end_ns: int
    #: not-captured, expired, reused, reused-early, killed or forgotten.
    outcome: Outcome
    #: Time of the segment that ended it or, if expired or forgotten, of the one that shows that it was over.
    ended_ns: int | None = None
    ended_frame: Frame | None = None
    #: The connection that took the sockets, if that is known.
    reuse: Reuse | None = None

    @property
    def restarts_ns(self) -> tuple[int, ...]:
        """Times of the segments that restarted it."""
        return tuple(one.time_ns for one in self.restarts)

    @property
    def left_ns(self) -> int:
        """When its owner leaves it: at its earliest end, or at a captured segment that ended it before."""
        return self.earliest_end_ns if self.ended_ns is None else min(self.ended_ns, self.earliest_end_ns)

    @property
    def state_after(self) -> StateAt:
        """State of its owner afterwards: CLOSED by the timer; unknown if a segment ended it earlier."""
        return StateAt("CLOSED", "timer") if self.left_ns == self.earliest_end_ns else StateAt(None, None)


@plain
class Finding:
    """Something notable about one connection (the rules are in `findings`)."""

    #: Stable identifier: "half-open".
    code: str
    #: chat, note, warn or error.
    severity: SeverityWord
    #: The captured segments that show it.
    frames: tuple[Frame, ...]
    #: One sentence with the figures.
    message: str


@plain
class RunFinding:
    """Something notable about a capture, a host or a listener, or the run as a whole."""

    code: str
    #: chat, note, warn or error.
    severity: SeverityWord
    #: Subject: "10.0.0.2:80", "192.0.2.7", the name of a capture.
    about: str
    #: Number of connections that show it; 0 if it is not about connections.
    connections: int
    frames: tuple[Frame, ...]
    message: str


@plain
class StateAt:
    """The state of one end after a segment."""

    #: Name in RFC 9293; None: nothing is proven about this end yet, or it is closing and its state is unknown.
    state: str | None
    #: How it is known: "sent" (by its own segment), "acknowledged" (proven by the peer), "assumed" or "timer"; None
    #: without a state.
    basis: Basis | None
    #: The state was assumed, and later segments disprove it.
    disproved: bool = False


class Happened(NamedTuple):
    """An event of RFC 9293, and the end to which it happened. As text: "originator: send SYN"."""

    end: End
    event: Event

    def __str__(self) -> str:
        return f"{self.end}: {self.event.words}"


@plain
class SackBlock:
    """A range of octets that a receiver reports in a SACK option; a SYN and a FIN count as one."""

    #: Its first number and the number after its last (RFC 2018 §3), relative like `Step.relative_ack`.
    left_edge: int
    right_edge: int
    #: The octets arrived twice (D-SACK, RFC 2883 §4); else they lie beyond a gap.
    is_duplicate: bool = False


#: `Step.passed` of most segments.
NONE_PASSED: Pair[tuple[StateAt, ...]] = Pair((), ())


@plain
class Arithmetic:
    """One number of one segment, and why it is right or wrong: symbolic, absolute and relative."""

    #: What is checked: "ack", "seq", "u" (FIN), "books" ...
    name: str
    #: The expected value in symbols: "x+1", "u+1", "x+1+4".
    symbolic: str
    #: The expected value as an absolute number modulo 2**32.
    expected: int
    #: The expected value relative to the initial sequence number (SYN = 0).
    relative: int
    #: The absolute number in the segment.
    actual: int
    #: None: the capture cannot tell.
    holds: bool | None
    #: "SYN counts one", "4 octets", "FIN counts one"; if it does not hold, what is wrong, with the difference.
    reason: str

    def __str__(self) -> str:
        mark = {True: "✓", False: "✗", None: "?"}[self.holds]
        return f"{self.name} = {self.symbolic} {mark} {self.reason}".rstrip()


@plain
class Step:
    """One segment of a connection, and what it changed."""

    frame: Frame
    time_ns: int
    sender: End
    #: Control bits in header order, separated by commas: "SYN,ACK", "FIN,PSH,ACK"; "" for none.
    flags: str
    seq: int
    ack: int | None
    #: seq − ISS of the sender (SYN = 0), or minus its first captured number if its SYN is unknown; may be negative.
    relative_seq: int
    #: ack − ISS of the receiver, likewise; None without the ACK bit.
    relative_ack: int | None
    #: The same two in the symbols x, y, u, v, w: "x+1", "u+1", "y+1+1460".
    symbolic_seq: str
    symbolic_ack: str | None
    window: int
    payload_octets: int
    #: States of both ends after this segment.
    states: Pair[StateAt]
    #: The events of RFC 9293 that it causes at the ends.
    events: tuple[Happened, ...]
    arithmetic: tuple[Arithmetic, ...]
    #: Why its receiver must ignore it; None if it need not.
    ignored: str | None
    #: It carries no new octets, SYN or FIN: all of it was captured before.
    retransmission: bool = False
    #: Options of a SYN or SYN-ACK; None for other segments.
    options: SynOptions | None = None
    #: `window` in octets, scaled as agreed on both SYNs (RFC 7323 §2.2); None if a SYN, or the option list
    #: that would have its scale, was not captured.
    window_octets: int | None = None
    #: Its sender's window is closed, or was until now: `window` is 0 here, or was 0 in its previous segment.
    at_closed_window: bool = False
    #: The states that each end entered and left again at this segment, in order. Example: that a FIN arrived is known
    #: only from the FIN that answers it, with which its receiver also moves on from CLOSE-WAIT to LAST-ACK.
    passed: Pair[tuple[StateAt, ...]] = NONE_PASSED
    #: Comments on its frame in the capture file.
    comments: tuple[str, ...] = ()
    #: The blocks of its SACK option (RFC 2018 §3), in the order of the option; None if the capture does not have all of
    #: it.
    sack: tuple[SackBlock, ...] | None = ()


@plain
class Connection:
    """One incarnation of a pair of sockets."""

    #: Number from 0, in order of first segment over the whole run.
    stream: int
    #: The file of the first frame, as the user named it.
    capture: str
    ip_version: int
    #: Headers around its IP packets, outermost first: ("vlan:42", "vxlan:7").
    encapsulation: tuple[str, ...]
    originator: Endpoint
    responder: Endpoint
    first_frame: Frame
    last_frame: Frame
    first_ns: int
    last_ns: int
    segments: Pair[int]
    #: Duplicate captures of its segments that were collapsed; not counted in `segments`.
    duplicates: int
    #: Payload octets of all captured segments, retransmissions included.
    octets: Pair[int]
    #: Octets sent, by sequence numbers: FIN − ISS − 1, or the highest octet; None unless start and end are known.
    sent_octets: Pair[int | None]
    #: Octets sent, but in no captured segment.
    missing_octets: Pair[int | None]
    handshake: Handshake
    teardown: Teardown
    resets: tuple[Reset, ...]
    #: ICMP errors that quote its segments, by time. They change no state: no segment shows whether they arrived.
    icmp_errors: tuple[IcmpError, ...]
    #: The states that the segments show, without repeats; None if nothing is proven about an end.
    states: Pair[tuple[StateName, ...] | None]
    time_wait: tuple[TimeWait, ...]
    findings: tuple[Finding, ...]
    #: Zeek's conn_state and history, Wireshark's tcp.completeness, by their published rules.
    conn_state: str
    history: str
    completeness: int
    #: Every segment, if requested; else None.
    steps: tuple[Step, ...] | None = None
    #: Initial sequence numbers (ISS), x and y of the ladder; None where unknown.
    initial_seq: Pair[int | None] = Pair(None, None)

    @property
    def own_ends(self) -> tuple[End, ...]:
        """The distinct ends: only the originator where a socket is connected to itself."""
        return ENDS[:1] if self.originator == self.responder else ENDS

    def time_wait_of(self, end: End) -> TimeWait | None:
        """Return the TIME-WAIT of an end, if any; both ends of a socket connected to itself have the same."""
        owner = end if end in self.own_ends else self.own_ends[0]
        return next((one for one in self.time_wait if one.owner == owner), None)
