"""ICMP errors in words: for the ladder, for the account below it, and for `sniff`.

In: the `IcmpError`s of a connection. Out: short texts, each of which can stand alone; nothing is decided here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from handshake_inspect.connections.connection import End, IcmpError, Pair, Step
from handshake_inspect.quantities import counted
from handshake_inspect.tcp.sections import ICMP_RULES
from handshake_inspect.views.folding import Fold
from handshake_inspect.views.segment_words import Numbers

#: Kinds of errors that the account tells apart; of more it says how many there are.
KINDS_TOLD = 6
#: What TCP does about an error, by its kind, and by whether it quotes the SYN (`tcp.sections` says where it stands).
_CONSEQUENCE = {
    ("hard", True): "a hard error: TCP should give up opening",
    ("hard", False): "a hard error: TCP should abort, though some systems only note it once a connection is open",
    ("soft", True): "a soft error: TCP must not give up for it, though some systems do while they open",
    ("soft", False): "a soft error: TCP must not abort for it, and sends again",
    ("path-mtu", True): "TCP is to send less at once",
    ("path-mtu", False): "TCP is to send less at once",
    ("advice", True): "TCP does nothing about it",
    ("advice", False): "TCP does nothing about it",
}
_STYLES = {"hard": "bold red", "soft": "bold red", "path-mtu": "bold yellow", "advice": "bold"}

#: How the ladder spells the sequence numbers of the segments that it shows: by sender and number.
Spellings = Mapping[tuple[End, int], str]


def label(error: IcmpError) -> Text:
    """Return the name of an error: "ICMP port unreachable"."""
    return Text(f"ICMP {error.message}", _STYLES[error.kind])


def short_label(error: IcmpError) -> Text:
    """Return the same in numbers, if the words have no room: "ICMP type 3 code 13"."""
    return Text(f"ICMP type {error.type} code {error.code}", _STYLES[error.kind])


def details(error: IcmpError, numbers: Numbers, spelling: Spellings | None = None) -> list[Text]:
    """Return its source, what it quotes, the MTU, and why TCP must ignore it, if it must."""
    said = [Text(f"from {error.source}"), Text(f"quotes {_quoted(error, numbers, spelling or {})}")]
    if error.mtu is not None:
        said.append(Text(f"MTU of the next hop {error.mtu:,}"))
    if error.was_sent is False:
        said.append(Text("ignored: no such number was sent (RFC 5927 §4.1)", "red"))
    return said


def spelling_of(steps: Sequence[Step]) -> Spellings:
    """Return how the segments of a connection spell their numbers in letters."""
    return {(step.sender, step.seq): step.symbolic_seq for step in steps}


def _quoted(error: IcmpError, numbers: Numbers, spelling: Spellings) -> str:
    """Return the quoted segment as far as the quote reaches: "SYN seq=x"."""
    flags = "SYN" if error.flags is None and error.answers_syn else error.flags
    what = "a segment" if flags is None else flags or "no control bits"
    if error.seq is None:
        return f"{what}, cut before its number"
    spelled: str | int | None = {
        "symbolic": spelling.get((error.quotes, error.seq), error.symbolic_seq),
        "relative": error.relative_seq,
        "absolute": error.seq,
    }[numbers]
    return f"{what} seq={error.seq if spelled is None else spelled}"


def with_errors(rows: Iterable[Step | Fold], errors: Sequence[IcmpError]) -> Iterator[Step | Fold | IcmpError]:
    """Put ICMP errors between the segments by time; at one time, in the order of their frames."""
    waiting = deque(errors)
    for row in rows:
        first = row.steps[0] if isinstance(row, Fold) else row
        while waiting and _is_before(waiting[0], first):
            yield waiting.popleft()
        yield row
    yield from waiting


def _is_before(error: IcmpError, step: Step) -> bool:
    if error.time_ns != step.time_ns:
        return error.time_ns < step.time_ns
    return isinstance(error.frame, int) and isinstance(step.frame, int) and error.frame < step.frame


def sentences(errors: Sequence[IcmpError], names: Pair[str]) -> Iterator[Text]:
    """Return a sentence for each ICMP error, equal errors together, with what TCP must do about it."""
    alike: dict[tuple[object, ...], list[IcmpError]] = {}
    for error in errors:
        key = (error.message, error.source, error.quotes, error.answers_syn, error.mtu, error.was_sent)
        alike.setdefault(key, []).append(error)
    for group in list(alike.values())[:KINDS_TOLD]:
        yield _sentence(group, names)
    if len(alike) > KINDS_TOLD:
        rest = sum(map(len, list(alike.values())[KINDS_TOLD:]))
        yield Text(f"And {counted(rest, 'more error')} of {counted(len(alike) - KINDS_TOLD, 'other kind')}.")


def _sentence(group: Sequence[IcmpError], names: Pair[str]) -> Text:
    first = group[0]
    times = f", {len(group)} times" if len(group) > 1 else ""
    what = "the SYN" if first.answers_syn else "a segment"
    line = Text(f"{first.message}{times}: ", _STYLES[first.kind])
    line.append(f"{first.source} quotes {what} of the {names[first.quotes]}. ")
    if first.was_sent is False:
        return line.append("No such number was sent: to be ignored (RFC 5927 §4.1).", "red")
    consequence = _CONSEQUENCE[first.kind, first.answers_syn]
    size = f", {first.mtu:,} octets per packet" if first.mtu is not None else ""
    section = ICMP_RULES[first.kind].section
    return line.append(f"{consequence[:1].upper()}{consequence[1:]}{size} ({section}).")
