"""Lines of a log of strace(1): what a process asked of the kernel, and when.

In: lines as `strace -f -ttt` writes them, to a file (`19344 1795676722.013404 close(3) = 0`) or to standard error
(`[pid 19344] 1795676722.013404 ...`). Out: `SystemCall`s in the order in which they were entered, ends of processes,
and which child ended under which parent.

- A call that another process interrupts stands on two lines, `<unfinished ...>` and `<... recvfrom resumed>`.
- A call that a signal interrupts and that begins anew (`= ? ERESTARTSYS`) is one call to the program: it is one here.
- When a call returned: the second of two lines tells it. Of a call on one line it is known that it had returned when
  the next line began, and with -T how long it took. That does not count what strace itself does between noting the
  time and letting the call begin: mostly 0.05 ms, but with -yy 0.3 to 95 ms in the first calls on a socket, because it
  asks the kernel for all sockets of the host (measured with strace 6.1). So `returned_ns` is DECODING_NS late at most
  where durations are told, and may be too early; `latest_ns`, when the next line of the same thread begins, is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

#: The process and the moment, then what happened; -i and -n put something in brackets between.
LINE = re.compile(r"(?:\[pid +(\d+)\] +|(\d+) +)?(\d{9,11})\.(\d{6}|\d{9}) (?:\[[ \da-f]+\] )*(.*)")
WHOLE = re.compile(r"(\w+)\((.*)\) += (.*?)(?: <(\d{1,9})\.(\d{6,9})>)?")
BEGUN = re.compile(r"(\w+)\((.*?) ?<unfinished \.\.\.>(?:\) = \?)?")
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>,? ?(.*)\) += (.*?)(?: <(\d{1,9})\.(\d{6,9})>)?")
EXITED = re.compile(r"\+\+\+ (?:exited with (\d+)|killed by (\w+).*|superseded by .*) \+\+\+")
CHILD_ENDED = re.compile(r"--- SIGCHLD \{.*\bsi_pid=(\d+)\b.*\} ---")
SIGNAL = re.compile(r"--- .* ---")
ATTACHED = re.compile(r"(?:strace: )?Process (\d+) attached.*")
DETACHED = re.compile(r"(?:strace: )?Process \d+ detached.*")
UNFINISHED = ("<unfinished ...>", "<unfinished ...>) = ?")
UNTIMED = re.compile(r"(?:\[pid +\d+\] +|\d+ +)?(?:\d\d:\d\d:\d\d|\d\.\d{6} |\w+\(.*\) += )")
RESTARTED = "? ERESTART"
#: What strace may do, after it noted the time, before the call begins.
DECODING_NS = 1_000_000
#: The one process of a log that names none.
UNNAMED = 0


@dataclass(slots=True, eq=False)
class SystemCall:
    """One system call of one process."""

    #: The thread, as strace numbers them.
    pid: int
    name: str
    #: What stands in the brackets.
    arguments: str
    entered_ns: int
    #: Place of its entry among the events of the log.
    entered_at: int
    #: What stands behind the "=": "0", "-1 EAGAIN (Resource temporarily unavailable)"; "?" if it never returned.
    result: str = "?"
    returned_ns: int = 0
    returned_at: int = 0
    #: Its duration is not known: it may have returned long before `returned_ns`.
    is_untimed: bool = False
    #: A moment by which it has returned for certain, whatever strace did meanwhile: its second line, or the next one of
    #: its thread. 0: there is none.
    latest_ns: int = 0
    #: When it was entered for the last time, if signals interrupted it.
    resumed_ns: int = 0

    @property
    def number(self) -> int | None:
        """What it returned, if that is a number."""
        found = re.match(r"-?\d+|0x[\da-f]+", self.result)
        return int(found.group(), 0) if found else None

    @property
    def error(self) -> str:
        """The name of its error, "" if it has none."""
        found = re.match(r"-1 (E\w+)", self.result)
        return found.group(1) if found else ""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a thread."""

    pid: int
    time_ns: int
    at: int
    #: "exited with 0", "killed by SIGKILL".
    text: str


@dataclass
class Lines:
    """The calls and ends of processes of a log."""

    calls: list[SystemCall] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    #: Child -> parent, of those that were no threads: their end was told to the parent, or they outlived it.
    parents: dict[int, int] = field(default_factory=dict)
    #: Numbers of lines that say nothing that we know; of them what a program wrote between the lines of its log.
    unread: list[int] = field(default_factory=list)
    #: First and last moment in the log; 0 if it has none.
    first_ns: int = 0
    last_ns: int = 0
    #: The first line with a moment of day, as strace -t and -tt write it, or with a system call and none; 0: none.
    untimed: int = 0


def read_lines(lines: Iterable[str]) -> Lines:
    """Read the lines of a log, each as far as it can be parsed."""
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        reader.take(number, line.rstrip("\n"))
    return reader.finish()


class _Reader:
    """Reads line after line; keeps the calls that have not returned."""

    def __init__(self) -> None:
        self._found = Lines()
        self._at = 0
        #: Per process the call that it is in, and a call that a signal broke off and that may begin anew.
        self._inside: dict[int, SystemCall] = {}
        self._broken: dict[int, SystemCall] = {}
        #: The call on the line before, which has returned when this one begins; and that of each thread.
        self._before: SystemCall | None = None
        self._latest: dict[int, SystemCall] = {}
        self._main = UNNAMED
        self._alive: set[int] = set()
        self._ended: set[int] = set()
        self._children: set[int] = set()

    def take(self, number: int, line: str) -> None:
        """Parse one line, or count it as not understood."""
        found = LINE.fullmatch(line)
        if found is None:
            attached = ATTACHED.fullmatch(line)
            if attached is not None:
                self._children.add(int(attached.group(1)))
                self._alive.add(int(attached.group(1)))
            elif line.strip() and not DETACHED.fullmatch(line):
                self._found.unread.append(number)
                if UNTIMED.match(line) and not self._found.untimed:
                    self._found.untimed = number
            return
        named, time_ns = found.group(1) or found.group(2), nanoseconds(found.group(3), found.group(4))
        pid = self._named(int(named)) if named else self._unnamed()
        self._at += 1
        self._found.first_ns = min(self._found.first_ns or time_ns, time_ns)
        self._found.last_ns = max(self._found.last_ns, time_ns)
        if self._before is not None:
            latest_ns = time_ns if self._before.is_untimed else min(time_ns, self._before.returned_ns + DECODING_NS)
            self._before.returned_ns, self._before = max(latest_ns, self._before.returned_ns), None
        if pid in self._latest:
            self._latest.pop(pid).latest_ns = time_ns
        if not self._understand(pid, time_ns, found.group(5)):
            self._found.unread.append(number)

    def _named(self, pid: int) -> int:
        """Return a process that the line names; the first one is the one that was not named before."""
        self._alive.add(pid)
        if self._main == UNNAMED and pid not in self._children:
            self._main = pid
            self._alive.discard(UNNAMED)
            for call in self._found.calls:
                call.pid = pid if call.pid == UNNAMED else call.pid
            for known in (self._inside, self._broken, self._latest):
                if UNNAMED in known:
                    known[pid] = known.pop(UNNAMED)
        return pid

    def _unnamed(self) -> int:
        """Return the process of a line that names none: the only one there is."""
        if len(self._alive) == 1:
            return next(iter(self._alive))
        self._alive.add(self._main)
        return self._main

    def _understand(self, pid: int, time_ns: int, text: str) -> bool:
        """Parse the part of a line behind the time; False if it has no known form."""
        if text.endswith(UNFINISHED) and (begun := BEGUN.fullmatch(text)):
            self._inside[pid] = self._enter(pid, time_ns, begun.group(1), begun.group(2).strip())
        elif whole := WHOLE.fullmatch(text):
            call = self._enter(pid, time_ns, whole.group(1), whole.group(2))
            self._leave(call, time_ns, whole.group(3), whole.group(4), whole.group(5))
        elif resumed := RESUMED.fullmatch(text):
            return self._resume(pid, time_ns, resumed)
        elif ended := EXITED.fullmatch(text):
            self._end(pid, time_ns, text.strip("+ "), has_ended=bool(ended.group(1) or ended.group(2)))
        elif child := CHILD_ENDED.fullmatch(text):
            self._child_ended(int(child.group(1)), pid)
        else:
            return SIGNAL.fullmatch(text) is not None
        return True

    def _enter(self, pid: int, time_ns: int, name: str, arguments: str) -> SystemCall:
        """Note that a call was entered; one that begins anew after a signal was entered before it."""
        broken = self._broken.pop(pid, None)
        if broken is not None and name in (broken.name, "restart_syscall"):
            if name == broken.name:
                broken.arguments = arguments
            broken.result, broken.resumed_ns = "?", time_ns
            return broken
        call = SystemCall(pid, name, arguments, time_ns, self._at, returned_ns=time_ns, resumed_ns=time_ns)
        self._found.calls.append(call)
        return call

    def _resume(self, pid: int, time_ns: int, resumed: re.Match[str]) -> bool:
        """Parse the second line of a call; False if there was no first one."""
        name, rest, *returned = resumed.groups()
        call = self._inside.pop(pid, None)
        if call is None or name not in (call.name, "restart_syscall"):
            return False
        parted = not (call.arguments and rest) or call.arguments.endswith((",", "("))
        call.arguments = f"{call.arguments}{'' if parted else ','} {rest}".strip()
        self._leave(call, time_ns, *returned, is_second=True)
        return True

    def _leave(
        self, call: SystemCall, time_ns: int, result: str, seconds: str | None, fraction: str | None, *,
        is_second: bool = False,
    ) -> None:  # fmt: skip
        """Note that a call returned, on its own line or on a second one."""
        call.result, call.returned_at = result, self._at
        if result.startswith(RESTARTED):
            call.result = "-1 EINTR (Interrupted system call)"  # unless it begins anew
            self._broken[call.pid] = call
        if is_second:
            call.returned_ns = call.latest_ns = time_ns
            return
        call.latest_ns, self._latest[call.pid] = 0, call
        if seconds is not None and fraction is not None:
            call.returned_ns, self._before = call.resumed_ns + nanoseconds(seconds, fraction), call
        elif result != "?":
            call.is_untimed, self._before = True, call

    def _end(self, pid: int, time_ns: int, text: str, *, has_ended: bool) -> None:
        """Note the end of a thread, and of the call that it was in."""
        inside = self._inside.pop(pid, None)
        if inside is not None:
            inside.returned_ns, inside.returned_at, inside.latest_ns = time_ns, self._at, time_ns
        self._alive.discard(pid)
        if has_ended:
            self._ended.add(pid)
            self._found.exits.append(Exit(pid, time_ns, self._at, text))

    def _child_ended(self, child: int, parent: int) -> None:
        """Note that a parent was told of a child's end, and by the same signal of those that ended while it waited."""
        self._found.parents.setdefault(child, parent)
        if child in self._ended:
            for one in takewhile(lambda one: one.pid != child, reversed(self._found.exits)):
                self._found.parents.setdefault(one.pid, parent)

    def _outlived(self) -> None:
        """Note the processes that were active after the first one had ended; its threads end before it."""
        first = self._found.calls[0].pid if self._found.calls else UNNAMED
        end = next((one.at for one in self._found.exits if one.pid == first), None)
        if end is not None:
            later = {one.pid for one in self._found.exits if one.at > end}
            for pid in later | {call.pid for call in self._found.calls if call.entered_at > end}:
                self._found.parents.setdefault(pid, first)

    def finish(self) -> Lines:
        """Return the calls; those that never returned last to the end of the log."""
        self._outlived()
        self._at += 1
        for call in self._inside.values():
            call.returned_ns, call.returned_at = self._found.last_ns, self._at
        for call in self._found.calls:
            call.latest_ns = call.latest_ns or max(self._found.last_ns, call.returned_ns)
        return self._found


def nanoseconds(seconds: str, fraction: str) -> int:
    """Return seconds with six or nine digits behind the point as nanoseconds."""
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))
