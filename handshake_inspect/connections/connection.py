"""What a person asks about: one connection, how it opened, how it closed, who waits. Plain data, no arrays.

In: nothing; `connections.deciding` and `connections.steps` fill these. Out: the JSON contract (`views.json`), the
ladder (`views.ladder`), and what a caller of `inspect()` holds in hand. `None` always means that the capture cannot
tell. Words are RFC 9293's and Zeek's.
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
#: Types of words, so that a checker finds a comparison with a word that does not exist.
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

    #: Of the end that opened (Zeek's word; the sender of the first SYN without ACK, else of the first segment).
    originator: T
    #: Of the other end.
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
    """Return what to call the ends: client and server, where the capture shows which is which."""
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
    """What an end offered on its SYN."""

    #: Maximum segment size in octets; None if not offered.
    mss: int | None
    #: Window scale shift count; None if not offered.
    window_scale: int | None
    sack_permitted: bool
    timestamps: bool
    #: RFC 7413: "request" for a cookie, or "cookie"; None without the option.
    fast_open: str | None = None


@plain
class Handshake:
    """How the connection opened."""

    #: three-way, simultaneous-open, self-connect, fast-open, refused, unreachable, unanswered, half-open, abandoned,
    #: invalid, partial or not-captured.
    kind: HandshakeKind
    #: True: both ends are proven ESTABLISHED. False: the opening failed. None: not captured.
    complete: bool | None
    #: Of "syn", "syn-ack", "ack": those that later numbers prove were sent, but were not captured.
    missing: tuple[str, ...]
    syn_retransmissions: int
    syn_ack_retransmissions: int
    #: First SYN to first SYN-ACK.
    syn_to_syn_ack_ns: int | None
    #: First SYN-ACK to the ACK of it.
    syn_ack_to_ack_ns: int | None
    #: First SYN to the third segment.
    initial_rtt_ns: int | None
    #: A SYN or SYN-ACK was sent more than once: which one was answered cannot be told (Karn).
    rtt_ambiguous: bool
    #: None, "requested", "accepted" or "declined" (RFC 7413).
    fast_open: FastOpen | None
    #: What each end offered; None where its SYN was not captured.
    options: Pair[SynOptions | None]


@plain
class Teardown:
    """How the connection closed."""

    #: four-way, three-segment, simultaneous-close, half-closed, incomplete, partial, reset-after-fin, aborted,
    #: open or none.
    kind: TeardownKind
    #: True: both FINs acknowledged, or an RST took effect. False: stuck or half-closed. None: cannot be told.
    complete: bool | None
    #: Of "fin", "ack-of-fin", "peer-fin", "ack-of-peer-fin": those proven to have been sent, but not captured.
    missing: tuple[str, ...]
    #: "originator", "responder", "both" (the FINs crossed) or None (no FIN, or it cannot be told).
    closed_first: EndOrBoth | None
    #: Whose RST took effect: "originator", "responder", "both" or None.
    reset_by: EndOrBoth | None
    fin_retransmissions: int
    #: First FIN to the other end's first FIN.
    half_closed_ns: int | None


@plain
class Reset:
    """One RST, effective or not."""

    frame: Frame
    by: End
    #: Did the receiver have to accept it (RFC 9293 §3.5.3, §3.10.7; RFC 5961 §3)? None: cannot be told.
    valid: bool | None
    #: Why, in words with the numbers.
    reason: str


@plain
class IcmpError:
    """One ICMP or ICMPv6 error that quotes a segment of the connection (RFC 9293 §3.9.2.2)."""

    frame: Frame
    time_ns: int
    #: Address of who sent it: a router on the way, or the other end.
    source: str
    type: int
    code: int
    #: What it says: "port unreachable", "fragmentation needed" ...
    message: str
    #: What TCP is to do with it: "hard" (abort), "soft" (keep trying), "path-mtu" (send less at once) or "advice"
    #: (nothing).
    kind: str
    #: Whose segment it quotes; to that end it goes.
    quotes: End
    #: The quoted sequence number; None if the quote ends before it.
    seq: int | None
    #: seq − ISS of that end, as in `Step`; and the same in letters, x or y.
    relative_seq: int | None
    symbolic_seq: str | None
    #: Control bits of the quoted segment, as in `Step`; None if the quote ends before them.
    flags: str | None
    #: MTU of the next hop in octets; None if the error has none.
    mtu: int | None
    #: It quotes the originator's SYN.
    answers_syn: bool
    #: Had that end sent a segment with this number? False: forged, or about an older connection (RFC 5927 §4.1: to be
    #: ignored). None: cannot be told.
    was_sent: bool | None


@plain
class Restart:
    """One segment that starts a TIME-WAIT again."""

    frame: Frame
    time_ns: int
    #: What it is: "FIN" (RFC 9293 §3.10.7.4, eighth), "data" or "ACK", which count only where the profile says so.
    segment: str


@plain
class Reuse:
    """The next connection of the same two sockets, as it looks from a TIME-WAIT."""

    #: Its number.
    stream: int
    #: Who opened it, as an end of the connection that left the TIME-WAIT.
    by: End
    #: What makes it legal; empty if nothing does. "expired": the time was over. "timestamps": its SYN's timestamp is
    #: newer than the last one, or the old connection had none (RFC 6191 §2). "initial-number": its SYN's number is
    #: above the last one, and its timestamp is not older (RFC 6191 §2).
    rules: tuple[str, ...]
    #: Number of its SYN, and the last number that the same end had used before: that of its FIN.
    initial_seq: int
    last_seq: int | None
    #: Timestamp of its SYN, and the last one that the same end had sent before (RFC 7323); None without.
    timestamp: int | None
    last_timestamp: int | None
    #: Number with which the other end answers, and the last one that it had used before. If it owes TIME-WAIT, RFC 9293
    #: §3.6.1 (MAY-2) asks for a higher one.
    answer_seq: int | None
    last_answer_seq: int | None

    @property
    def answer_is_higher(self) -> bool | None:
        """Is the answer's number above the last one, modulo 2**32? None: one of them is not known."""
        if self.answer_seq is None or self.last_answer_seq is None:
            return None
        return before(self.last_answer_seq, self.answer_seq)


@plain
class TimeWait:
    """One end's TIME-WAIT."""

    owner: End
    entered_ns: int
    #: The segment with which it is known to have begun.
    entered_frame: Frame
    #: Segments that started it again, by the rules of the profile.
    restarts: tuple[Restart, ...]
    #: Whose rules are assumed: a name of `tcp.time_wait.PROFILES`, or a number of seconds ("45s").
    profile: str
    earliest_end_ns: int
    #: not-captured, expired, reused, reused-early, killed or forgotten.
    outcome: Outcome
    #: The segment that ended it or, if it is expired or forgotten, the one that shows that it was over by then.
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
        """When its owner leaves it: at the earliest end, or when a segment was seen to end it before."""
        return self.earliest_end_ns if self.ended_ns is None else min(self.ended_ns, self.earliest_end_ns)

    @property
    def state_after(self) -> StateAt:
        """Where its owner is then: CLOSED by its timer; of whose sockets were taken before, nothing is known."""
        return StateAt("CLOSED", "timer") if self.left_ns == self.earliest_end_ns else StateAt(None, None)


@plain
class Finding:
    """Something an expert would notice about one connection (the rules are in `findings`)."""

    #: In words, for good: "half-open".
    code: str
    #: chat, note, warn or error.
    severity: SeverityWord
    #: The segments that show it, as far as they were captured.
    frames: tuple[Frame, ...]
    #: With the numbers.
    message: str


@plain
class RunFinding:
    """Something about a run as a whole: a capture, a host, a listener."""

    code: str
    #: chat, note, warn or error.
    severity: SeverityWord
    #: What it is about: "10.0.0.2:80", "192.0.2.7", the name of a capture.
    about: str
    #: How many connections show it; 0 if it is not about connections.
    connections: int
    frames: tuple[Frame, ...]
    message: str


@plain
class StateAt:
    """The state of one end after a segment."""

    #: As RFC 9293 spells it; None: nothing is proven of this end yet, or it is closing and its state cannot be told.
    state: str | None
    #: How it is known: "sent" (its own act), "acknowledged" (proven by the peer), "assumed" or "timer"; None without
    #: a state.
    basis: Basis | None
    #: An assumed state that later segments disprove.
    disproved: bool = False


class Happened(NamedTuple):
    """An event of RFC 9293, and the end to which it happened. As text: "originator: send SYN"."""

    end: End
    event: Event

    def __str__(self) -> str:
        return f"{self.end}: {self.event.words}"


@plain
class SackBlock:
    """Octets that a receiver names in a SACK option; a SYN and a FIN count as one."""

    #: Its first number and the number behind its last (RFC 2018 §3), counted as `Step.relative_ack` is.
    left_edge: int
    right_edge: int
    #: They came twice (D-SACK, RFC 2883 §4); else they lie beyond a gap.
    is_duplicate: bool = False


#: Of most segments.
NONE_PASSED: Pair[tuple[StateAt, ...]] = Pair((), ())


@plain
class Arithmetic:
    """One number of one segment, and why it is right or wrong. Three spellings of the same line."""

    #: What is checked: "ack", "seq", "u" (FIN), "books" ...
    name: str
    #: What it must be, in letters: "x+1", "u+1", "x+1+4".
    symbolic: str
    #: The same as the absolute number modulo 2**32 that it must be.
    expected: int
    #: The same counted from the initial sequence number (SYN = 0).
    relative: int
    #: The absolute number that stands in the segment.
    actual: int
    #: None: the capture cannot tell.
    holds: bool | None
    #: "SYN counts one", "4 octets", "FIN counts one"; if it does not hold: what is wrong, with the difference.
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
    #: Control bits in header order, comma separated: "SYN,ACK", "FIN,PSH,ACK"; "" for none.
    flags: str
    seq: int
    ack: int | None
    #: seq − ISS of the sender (SYN = 0), or from the first number seen of it if its SYN is unknown; may be negative.
    relative_seq: int
    #: ack − ISS of the receiver likewise; None without the ACK bit.
    relative_ack: int | None
    #: The same two in the letters x, y, u, v, w: "x+1", "u+1", "y+1+1460".
    symbolic_seq: str
    symbolic_ack: str | None
    window: int
    payload_octets: int
    #: Both ends after this segment.
    states: Pair[StateAt]
    #: What it meant to the ends.
    events: tuple[Happened, ...]
    arithmetic: tuple[Arithmetic, ...]
    #: Why its receiver must ignore it; None if it does not have to.
    ignored: str | None
    #: It brings no new octets, SYN or FIN: all of it was captured before.
    retransmission: bool = False
    #: What it offers, if it is a SYN or SYN-ACK.
    options: SynOptions | None = None
    #: `window` in octets, scaled as both SYNs agreed (RFC 7323 §2.2); None if one of them was not captured.
    window_octets: int | None = None
    #: Its sender takes nothing, or took nothing until now: the window is 0, or was 0 in its segment before.
    at_closed_window: bool = False
    #: The states that each end came into and left again with this segment, in order: a FIN that is answered by a FIN is
    #: known to have arrived only from that answer, with which its receiver goes on from CLOSE-WAIT to LAST-ACK.
    passed: Pair[tuple[StateAt, ...]] = NONE_PASSED
    #: What people wrote beside its frame in the capture.
    comments: tuple[str, ...] = ()
    #: The blocks of its SACK option (RFC 2018 §3), in the order in which they stand there; None if the capture has not
    #: all of it.
    sack: tuple[SackBlock, ...] | None = ()


@plain
class Connection:
    """One incarnation of a pair of sockets."""

    #: From 0 by first segment over the whole run.
    stream: int
    #: The file of the first frame, as the user named it.
    capture: str
    ip_version: int
    #: What was around it, outermost first: ("vlan:42", "vxlan:7").
    encapsulation: tuple[str, ...]
    originator: Endpoint
    responder: Endpoint
    first_frame: Frame
    last_frame: Frame
    first_ns: int
    last_ns: int
    segments: Pair[int]
    #: Second copies of loopback captures that were collapsed; not in `segments`.
    duplicates: int
    #: Payload of all captured segments, repeats included.
    octets: Pair[int]
    #: By sequence numbers: FIN − ISS − 1, or the highest octet; None unless start and end are known.
    sent_octets: Pair[int | None]
    #: Sent, and in no captured segment.
    missing_octets: Pair[int | None]
    handshake: Handshake
    teardown: Teardown
    resets: tuple[Reset, ...]
    #: ICMP errors that quote its segments, by time. They move no state: whether they arrived no segment shows.
    icmp_errors: tuple[IcmpError, ...]
    #: The states that the segments show, without repeats; None if nothing is proven of an end.
    states: Pair[tuple[StateName, ...] | None]
    time_wait: tuple[TimeWait, ...]
    findings: tuple[Finding, ...]
    #: Zeek's conn_state and history, Wireshark's tcp.completeness, by their published rules.
    conn_state: str
    history: str
    completeness: int
    #: Every segment, if they were asked for.
    steps: tuple[Step, ...] | None = None
    #: Initial sequence numbers (ISS) as far as they are known: x and y of the ladder.
    initial_seq: Pair[int | None] = Pair(None, None)

    @property
    def own_ends(self) -> tuple[End, ...]:
        """The ends that there are: the originator alone, where a socket is connected to itself."""
        return ENDS[:1] if self.originator == self.responder else ENDS

    def time_wait_of(self, end: End) -> TimeWait | None:
        """Return the TIME-WAIT of an end; of a socket that is connected to itself both ends have the same."""
        owner = end if end in self.own_ends else self.own_ends[0]
        return next((one for one in self.time_wait if one.owner == owner), None)
