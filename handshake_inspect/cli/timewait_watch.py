"""Watches the TIME-WAIT entries of this host: a line for each change, a summary at the end.

In: the changes that an `Observer` finds. Out: on standard output a line each, or an object a line for programs. Where
many entries change alike between two looks, one line tells of those of one pair of hosts, or of all. On a terminal a
status line on standard error counts down to the next end.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from handshake_inspect.cli.captures import Interruption
from handshake_inspect.cli.output import StatusLine, hanging
from handshake_inspect.cli.standard_error import remark
from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel.tracepoint import clock_offset
from handshake_inspect.lab.time_wait.jiffies import placed_wheel
from handshake_inspect.lab.time_wait.observing import Cause, Change, EntryEnd, Filter, Observer, Tally
from handshake_inspect.lab.time_wait.wheel import Wheel
from handshake_inspect.quantities import counted, listed

#: More changes of one kind than these between two looks are told together.
ALONE_MAX = 6
#: If so long passed between two looks, the machine was busy, or asleep: what ended meanwhile was not timed.
BLIND_NS = 1_500_000_000
TIME_WIDTH, KIND_WIDTH = 9, 9
#: `EntryEnd.cause` in the summary.
ENDINGS: dict[Cause, str] = {
    "ran-out": "ran out",
    "reused": "reused",
    "reset-or-destroyed": "ended by an RST or SOCK_DESTROY",
    "destroyed": "ended by SOCK_DESTROY",
}
#: `EntryEnd.by_owner`, in words.
REUSERS = {
    True: "its owner's connect()",
    False: "the other end's SYN",
    None: "its owner's connect() or the other end's SYN",
}


def watch(wanted: Filter, count: int | None, duration_s: float | None, format_: str) -> int:
    """Watch until Ctrl-C, so many ends, or so many seconds; print the summary. Returns the exit code."""
    watching = WatchPrinter(placed_wheel(), wanted, is_json=format_ == "ndjson")
    with closing(watching.observer), Interruption() as interruption:
        deadline_s = None if duration_s is None else time.monotonic() + duration_s
        there = watching.observer.look()  # what changes once the line below is read is seen as a change
        remark(f"watching TIME-WAIT on this host{restricted_to(wanted)}; Ctrl-C ends")
        watching.tell(there)
        while True:
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if interruption.asked or (count and watching.tally.ended >= count) or (left_s is not None and left_s <= 0):
                break
            watching.count_down()
            pause_until_next(watching.observer, interruption, left_s)
            watching.look()
    watching.summarize()
    return 0


def restricted_to(wanted: Filter) -> str:
    """Return which entries are watched, if not all."""
    ports = f" at port {listed([str(port) for port in wanted.ports], 'or')}" if wanted.ports else ""
    return f"{ports} of {listed(wanted.ips, 'or')}" if wanted.ips else ports


def pause_until_next(observer: Observer, interruption: Interruption, left_s: float | None) -> None:
    """Wait until the next look, or the end, is due; Ctrl-C ends the wait."""
    try:
        interruption.waiting = True
        time.sleep(max(0, min(observer.next_look_s(), left_s if left_s is not None else 1.0)))
    except KeyboardInterrupt:
        pass
    finally:
        interruption.waiting = False


class WatchPrinter:
    """Prints one watch, and counts for its summary."""

    def __init__(self, wheel: Wheel, wanted: Filter, *, is_json: bool) -> None:
        self.observer = Observer(wheel, wanted)
        self._is_json = is_json
        self._began_ns = time.monotonic_ns()
        self._offset_ns = 0
        self.tally = Tally()
        self._status = StatusLine()

    def look(self) -> None:
        """Look once, and print what changed."""
        self.tell(self.observer.look())

    def tell(self, changes: Sequence[Change]) -> None:
        """Print what changed, and count what has ended."""
        self._offset_ns = clock_offset().ns  # again: the clock may have been set
        for change in changes:
            if change.gone is not None:
                self.tally.count(change.gone)
        lines = map(json.dumps, map(self._as_json, changes)) if self._is_json else self.lines(changes)
        for line in lines:
            self._status.clear()
            print(line, flush=True)

    def count_down(self) -> None:
        """Show on a terminal how long it is until the next entry ends by its timer."""
        count, next_ns = self.observer.count, self.observer.next_end_ns
        left_s = 0 if next_ns is None else max(0, next_ns - time.monotonic_ns()) / 1e9
        ends = f"the next ends in about {left_s:.0f} s" if count > 1 else f"ends in about {left_s:.0f} s"
        self._status.show(f"{counted(count, 'entry', 'entries')}, {ends}" if count else "no entry is there")

    def lines(self, changes: Sequence[Change]) -> Iterator[str]:
        """Yield a line for each change, or one for many that are alike."""
        alike: dict[tuple[str, str], list[Change]] = {}
        for change in changes:
            alike.setdefault((change.kind, change.gone.cause if change.gone else ""), []).append(change)
        for group in alike.values():
            if len(group) <= ALONE_MAX:
                yield from (self._line(change, f"{change.local} → {change.remote}", 1) for change in group)
            elif len(pairs := by_pair(group)) <= ALONE_MAX:
                for who, some in pairs.items():
                    yield self._line(some[-1], who, len(some))
            else:
                yield self._line(group[-1], f"{len(pairs):,} pairs of hosts", len(group))

    def _line(self, change: Change, who: str, count: int) -> str:
        """Return the line of a change, or of several equal ones."""
        time_s = f"{(change.time_ns - self._began_ns) / 1e9:.3f}"
        many = f"{count:,} entries, the last one: " if count > 1 else ""
        head = f"{time_s:>{TIME_WIDTH}}  {change.kind:{KIND_WIDTH}}  "
        return hanging(head, f"{who}  {many}{self._said(change)}")

    def _said(self, change: Change) -> str:
        """Return the text of one change."""
        if change.gone is not None:
            return self._why_gone(change.gone)
        if change.kind == "at-0":
            return "its timer has run out; it waits for the next step of the timer wheel"
        left = f"{change.left_ns / 1e9:.1f} s left"
        return f"{left} again: it had to answer a segment" if change.kind == "restarted" else left

    def _why_gone(self, gone: EntryEnd) -> str:
        """Return why an entry is gone, as far as that is known."""
        lived = f"after {gone.lived_ns / 1e9:.3f} s: "
        if gone.cause == "ran-out" and gone.seen_within_ns > BLIND_NS:
            unseen_s = gone.seen_within_ns / 1e9
            return f"{lived}it ran out; when it went nobody saw: the kernel was not asked for {unseen_s:.3f} s before"
        if gone.cause == "ran-out":
            step_ns = (gone.fires.earliest_ns + gone.fires.latest_ns) // 2 - self._began_ns
            due = f" (computed: {step_ns / 1e9:.3f})" if self.observer.wheel.origin_ns is not None else ""
            return f"{lived}it ran out, {gone.late_ns / 1e9:.3f} s late, at a step of the timer wheel{due}"
        if gone.instead is not None:
            return f"{lived}reused by {REUSERS[gone.by_owner]}; its two sockets are {gone.instead.state} now"
        if gone.cause == "destroyed":
            return f"{lived}somebody destroyed it (SOCK_DESTROY, as ss -K does): an RST is ignored here (tcp_rfc1337)"
        return f"{lived}by an RST or SOCK_DESTROY (ss -K): the kernel counts neither, a capture tells"

    def _as_json(self, change: Change) -> dict[str, Any]:
        """Return one change as an object."""
        gone = change.gone
        return {
            "time_ns": change.time_ns + self._offset_ns,
            "event": change.kind,
            "local": {"ip": change.local.ip, "port": change.local.port},
            "remote": {"ip": change.remote.ip, "port": change.remote.port},
            "left_ns": change.left_ns,
            "cause": gone.cause if gone else None,
            "lived_ns": gone.lived_ns if gone else None,
            "seen_within_ns": gone.seen_within_ns if gone else None,
            "beyond_60_s_ns": gone.late_ns if gone and gone.cause == "ran-out" else None,
            "computed_end_ns": gone.fires.latest_ns + self._offset_ns if gone else None,
            "by_owner": gone.by_owner if gone else None,
            "instead": gone.instead.state if gone and gone.instead else None,
        }

    def summarize(self) -> None:
        """Print how the entries ended."""
        self._status.clear()
        say = remark if self._is_json else print
        tally, wheel = self.tally, self.observer.wheel
        how = ", ".join(f"{tally.causes[cause]:,} {said}" for cause, said in ENDINGS.items() if tally.causes[cause])
        seconds = (time.monotonic_ns() - self._began_ns) / 1e9
        ended = f"{counted(tally.ended, 'entry', 'entries')} ended in {seconds:.1f} s"
        if not self._is_json:
            print()
        say(hanging("", f"{ended}{f' ({how})' if how else ''}; {counted(self.observer.count, 'is', 'are')} there"))
        if tally.late_ms:
            low, middle, high = (ms / 1000 for ms in tally.late)
            beyond = f"beyond 60 s: earliest {low:.3f}, median {middle:.3f}, latest {high:.3f} s"
            step = f"the timer wheel has steps of {wheel.step_ns() / 1e9:.3f} s (HZ={wheel.hz})"
            within_ms = tally.seen_within_ns / 1e6
            say(hanging("", f"{beyond}, of which up to {within_ms:.0f} ms until it was seen; {step}"))
        if self.observer.overflowed:
            some = counted(self.observer.overflowed, "connection")
            say(hanging("", f"{some} found no room in TIME-WAIT (tcp_max_tw_buckets, TCPTimeWaitOverflow)"))


def by_pair(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Return changes by who holds towards whom: a client without its ports, or a server without its clients'.

    Each change counts with those of its client or of its server, whichever are more.
    """
    as_client = Counter((bare(one.local), one.remote) for one in changes)
    as_server = Counter((one.local, bare(one.remote)) for one in changes)
    found: dict[str, list[Change]] = {}
    for one in changes:
        client, server = (bare(one.local), one.remote), (one.local, bare(one.remote))
        local, remote = client if as_client[client] >= as_server[server] else server
        found.setdefault(f"{local} → {remote}", []).append(one)
    return found


def bare(end: Endpoint) -> str:
    """Return an address without its port."""
    return f"[{end.ip}]" if ":" in end.ip else end.ip
