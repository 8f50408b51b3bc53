"""Prints the report of a wait for TIME-WAIT: the moments of each, by the capture and by the kernel, and why.

In: a `Waiting`. Out: the rule by which this machine keeps its timers; for each TIME-WAIT its moments in order of time,
in seconds since the zero of the ladder above, and a sentence that explains every difference.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from handshake_inspect.cli.output import text_width, write_lines
from handshake_inspect.connections.connection import end_names
from handshake_inspect.lab.time_wait.endings import Captured
from handshake_inspect.lab.time_wait.following import Following
from handshake_inspect.lab.time_wait.reckoning import Reckoning, Waiting
from handshake_inspect.lab.time_wait.wheel import TIME_WAIT_NS, Wheel
from handshake_inspect.lab.whose import calls_of
from handshake_inspect.quantities import duration, seconds
from handshake_inspect.views.ladder_order import start_ns

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection

TIME_WIDTH, EVENT_WIDTH = 9, 10
SAID_COLUMN = TIME_WIDTH + EVENT_WIDTH + 4
#: A timer that was set again tells when, to some ticks.
RESTART_TICKS = 3
#: A moment, what it is, and what is to be said of it.
Row = tuple[int, str, str]


def report_wait(waiting: Waiting, shown: Inspection) -> None:
    """Print the report below the ladders of `shown`."""
    write_lines(report_lines(waiting, shown))


def report_lines(waiting: Waiting, shown: Inspection) -> Iterator[Text]:
    """Return all lines: the rule of this machine, and each TIME-WAIT."""
    reckonings = waiting.reckonings()
    yield Text("")
    if waiting.glance is None:
        yield Text("The wait ended before the kernel was asked.")
        return
    if not reckonings:
        yield Text("Nobody owes TIME-WAIT in this capture: there is nothing to wait for.")
        return
    head = "TIME-WAIT against the kernel's own timer"
    for number, line in enumerate(wrapped(f"{head} · {rule_of(waiting.glance.wheel)}")):
        if not number:
            line.stylize("bold", 0, len(head))
        yield line
    for one in reckonings:
        yield Text("")
        yield from reckoning_lines(one, zero_of(one, waiting, shown))
        for line in wrapped(conclusion(one, is_private=waiting.session.place == "private")):
            line.stylize("green" if one.ending.cause == "ran-out" else "yellow")
            yield line


def zero_of(one: Reckoning, waiting: Waiting, shown: Inspection) -> int:
    """Return the time that is 0 in the ladder of its connection, which may have been seen at another vantage point."""
    connections, ends = list(shown.connections), {one.local, one.remote}
    same = [each for each in connections if {each.originator, each.responder} == ends]
    drawn = min(same, key=lambda each: abs(each.first_ns - one.connection.first_ns), default=None)
    if drawn is None:
        return one.connection.first_ns
    return start_ns(calls_of(drawn, waiting.session.calls, connections), shown.steps(drawn.stream))


def rule_of(wheel: Wheel) -> str:
    """Return how this machine keeps a timer of 60 s."""
    ticks, step = wheel.ticks(TIME_WAIT_NS), wheel.step_ticks()
    return (
        f"HZ={wheel.hz}, so 60 s are {ticks:,} ticks of {wheel.tick_ns / 1e6:g} ms; a timer this long is kept in steps "
        f"of {step:,} ticks = {wheel.step_ns() / 1e9:.3f} s"
    )


def reckoning_lines(one: Reckoning, zero_ns: int) -> Iterator[Text]:
    """Return the lines of one TIME-WAIT: its moments, and the conclusion."""
    yield Text.assemble((end_names(one.connection.handshake.kind)[one.owner], "bold"), f" {one.local} → {one.remote}")
    yield Text(f"{'s':>{TIME_WIDTH}}", "dim")
    for time_ns, event, said in sorted(rows_of(one), key=lambda row: row[0]):
        first, *rest = textwrap.wrap(said, text_width() - SAID_COLUMN, break_on_hyphens=False)
        when, what = f"{seconds(time_ns - zero_ns):>{TIME_WIDTH}}  ", f"{event:{EVENT_WIDTH}}  "
        yield Text.assemble((when, "dim"), (what, "bold"), first)
        yield from (Text(" " * SAID_COLUMN + part) for part in rest)


def rows_of(one: Reckoning) -> Iterator[Row]:
    """Yield the moments of one TIME-WAIT, by the capture and by the kernel."""
    yield one.entered_ns, "entered", f"capture: with {named(one, one.segment_at(one.entered_ns))}"
    for time_ns in one.restarts_ns:
        segment = named(one, one.segment_at(time_ns))
        yield time_ns, "restarted", f"capture: with {segment}, to which it had to answer once more"
    entry = one.entry
    if entry is None:
        return
    first_ns = entry.first.after_ns + one.offset_ns
    yield first_ns, "timer", f"kernel: {entry.first_left_ns / 1e9:.3f} s left when first asked"
    for restart in entry.restarts:
        time_ns = restart.time_ns + one.offset_ns
        by = one.segment_near(time_ns, RESTART_TICKS * one.wheel.tick_ns)
        left = f"{restart.left_ns / 1e9:.3f} s were left" if restart.left_ns else "it had run out"
        yield time_ns, "timer set", f"kernel: to 60 s again, by {named(one, by)}; {left}"
    yield from end_rows(one, entry)


def end_rows(one: Reckoning, entry: Following) -> Iterator[Row]:
    """Yield the moments of its end: as predicted, and as the kernel shows them."""
    expiry_ns = entry.expiry_ns + one.offset_ns
    yield one.predicted_ns, "predicted", "capture: 60 s after that"
    said = "as the timer was last seen"
    if one.ending.cause in ("ran-out", "there"):
        said = f"{beside(expiry_ns - one.predicted_ns)} the prediction; it counts whole ticks"
    yield expiry_ns, "timer at 0" if entry.zero else "timer due", f"kernel: {said}"
    fires = one.predicted_gone
    if one.wheel.origin_ns is not None:
        step_ns, error = (fires.earliest_ns + fires.latest_ns) // 2, (fires.latest_ns - fires.earliest_ns) / 2e6
        yield step_ns, "wheel", f"computed: the next step of the timer wheel, ± {error:.1f} ms"
    else:
        yield fires.latest_ns, "wheel", "computed: the latest that the timer wheel allows"
    if one.gone_ns is not None:
        yield one.gone_ns, "gone", f"kernel: the entry is not there any more{gone_beside(one)}"


def gone_beside(one: Reckoning) -> str:
    """Return how long after the computed step of the wheel the end was seen; "" if it did not end by its timer."""
    gone_ns, fires = one.gone_ns, one.predicted_gone
    if gone_ns is None or one.ending.cause != "ran-out" or one.wheel.origin_ns is None:
        return ""
    return f"; seen {beside(gone_ns - (fires.earliest_ns + fires.latest_ns) // 2)} the step"


def beside(apart_ns: int) -> str:
    """Return how far a moment lies before or after another: "0.732 ms before"."""
    return f"{duration(abs(apart_ns))} {'before' if apart_ns < 0 else 'after'}"


#: If so long passed between the last look that found an entry and the next one, its end was not timed: the machine was
#: busy, or asleep. Near the end the kernel is asked every few milliseconds.
BLIND_NS = 500_000_000


def conclusion(one: Reckoning, *, is_private: bool) -> str:
    """Return how it ended, and why then. `is_private`: in a network that ends with the wait."""
    entry, ending = one.entry, one.ending
    if ending.cause == "no-room":
        return f"It never was: {CAUSES['no-room']}."
    if entry is None:
        return f"It was over before it could be followed: {cause_of(one)}."
    if ending.cause == "there":
        left = f"{entry.left_ns / 1e9:.1f} s were left when the wait ended"
        with_it = "its private network has ended too, and it with that" if is_private else "it runs on in this host"
        return f"{left}; {with_it}."
    if entry.gone is None or ending.cause != "ran-out":
        early_ns = entry.fires.earliest_ns - (entry.gone or entry.last).before_ns
        return f"It ended {early_ns / 1e9:.3f} s before its time: {cause_of(one)}."
    unseen_ns = entry.gone.before_ns - entry.last.after_ns
    if unseen_ns > BLIND_NS:
        return f"It ran out, but when it went nobody saw: the kernel was not asked for {unseen_ns / 1e9:.3f} s before."
    late, step = (entry.late_ns or 0) / 1e9, one.wheel.step_ns() / 1e9
    return (
        f"It ran out, and was there {late:.3f} s longer than 60 s: the timer wheel has steps of {step:.3f} s here, and "
        "fires at the first that comes after a timer has run out, so that none is early."
    )


#: `Ending.cause` -> why a TIME-WAIT did not run out.
CAUSES = {
    "reset": "an RST ended it (RFC 1337)",
    "reused": "a new connection has taken its two sockets (RFC 9293 §3.6.1, RFC 6191)",
    "destroyed": "no segment came that ends it, so somebody destroyed it (SOCK_DESTROY, as ss -K does)",
    "no-room": "the kernel had no room for it (tcp_max_tw_buckets), and counted that in TCPTimeWaitOverflow",
    "unknown": "the capture does not tell why",
}


def cause_of(one: Reckoning) -> str:
    """Return the cause, with the segment that was the cause."""
    by = one.ending.by
    if by is None:
        return CAUSES[one.ending.cause]
    return f"{CAUSES[one.ending.cause]}, {named(one, by)}"


def named(one: Reckoning, captured: Captured | None) -> str:
    """Return the name of a segment: "the client's ACK in frame 11"."""
    if captured is None:
        return "a segment that was not captured"
    names = end_names(one.connection.handshake.kind)
    other = names.responder if one.owner == "originator" else names.originator
    sender = names[one.owner] if one.is_owners(captured) else other
    return f"the {sender}'s {captured.segment.kind} in frame {captured.frame}"


def wrapped(text: str) -> Iterator[Text]:
    """Yield a text in lines of the width of the terminal."""
    return (Text(line) for line in textwrap.wrap(text, text_width(), break_on_hyphens=False))
