"""System calls -> TCP sockets.

In: the lines of a log. Out: `TracedSocket`s: the addresses of each as far as any call tells them, the calls that were
made on it, by however many processes, and the ends of processes that still held it. Sockets of other protocols are
left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from handshake_inspect.lab.strace.arguments import Descriptor, descriptor, socket_address, split
from handshake_inspect.lab.strace.descriptors import Descriptors
from handshake_inspect.lab.strace.lines import Exit, Lines, SystemCall
from handshake_inspect.lab.strace.spelling import ACCEPTING, FAST_OPEN, SHOWN

#: Network calls: who makes one on a descriptor that nobody opened in this log has got a socket from outside.
NETWORK = {"bind", "listen", "connect", "shutdown", "setsockopt", "getsockopt", "getsockname", "getpeername", "send",
           "sendto", "sendmsg", "recv", "recvfrom", "recvmsg", "accept", "accept4"}  # fmt: skip
COPYING = {"dup", "dup2", "dup3", "fcntl"}
BEARING = {"clone", "clone3", "fork", "vfork"}
LEAVING = {"exit_group"}
#: What a connect() returned if the next one on the same socket goes on with it, or finds it done.
UNDER_WAY = {"", "EINPROGRESS", "EALREADY", "EINTR", "EISCONN"}


@dataclass(eq=False)
class TracedSocket:
    """A TCP socket of a log."""

    number: int
    #: Addresses as they are spelled in calls, "" where none is told.
    local: str = ""
    peer: str = ""
    is_listener: bool = False
    #: Of a socket that accept() made: the call, and the socket that was listening.
    accepted_by: SystemCall | None = None
    listener: TracedSocket | None = None
    #: Is it a socket of another protocol?
    is_foreign: bool = False
    #: The calls that were made on it, in order.
    calls: list[SystemCall] = field(default_factory=list)
    #: Ends of processes that had it open.
    exits: list[Exit] = field(default_factory=list)

    @property
    def opener(self) -> SystemCall | None:
        """The call that began a connection, if one did."""
        return next((call for call in self.calls if connects(call)), None)


def sockets_of(lines: Lines) -> list[TracedSocket]:
    """Return the TCP sockets of a log that were used, in the order in which they were made."""
    reading = _Reading(lines)
    reading.run()
    return [one for one in reading.sockets if not one.is_foreign and (one.calls or one.accepted_by)]


def connects(call: SystemCall) -> bool:
    """Does a call begin a connection?"""
    return call.name == "connect" or (call.name == "sendto" and FAST_OPEN in call.arguments)


class _Reading:
    """Reads the calls of a log in order, and keeps which descriptor is which socket."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._held: Descriptors[TracedSocket] = Descriptors(lines.parents)
        self._by_inode: dict[int, TracedSocket] = {}
        #: The youngest one with both of these addresses.
        self._by_ends: dict[tuple[str, str], TracedSocket] = {}
        #: How a process was ended that said so itself: its first moment.
        self._leaving: dict[int, SystemCall] = {}
        self.sockets: list[TracedSocket] = []
        #: The socket that a call is about.
        self._about: dict[int, TracedSocket] = {}

    def run(self) -> None:
        """Go through the log, entry by entry and return by return."""
        events: list[tuple[int, int, SystemCall | Exit]] = []
        for call in self._lines.calls:
            events += [(call.entered_at, 1, call), (call.returned_at, 2, call)]
        events += [(one.at, 3, one) for one in self._lines.exits]
        for _, kind, event in sorted(events, key=lambda one: one[:2]):
            if isinstance(event, Exit):
                self._end(event)
            elif kind == 1:
                self._enter(event)
            else:
                self._leave(event)

    def _enter(self, call: SystemCall) -> None:
        """Handle the entry of a call: its descriptor is looked up now, and close() removes it at once."""
        if call.name in LEAVING:
            self._leaving[call.pid] = call
        if call.name in BEARING and call.number is not None and call.number > 0:
            self._held.born(call.number, call.pid, shares="CLONE_FILES" in call.arguments)
        if call.name not in NETWORK | SHOWN | COPYING:
            return
        socket = self._socket(call)
        if socket is None:
            return
        self._about[id(call)] = socket
        if call.name in SHOWN:
            socket.calls.append(call)
        if call.name == "close" and call.error != "EBADF":
            self._held.close(call.pid, descriptor(call.arguments).number)  # type: ignore[union-attr]

    def _leave(self, call: SystemCall) -> None:
        """Handle the return of a call: it may have made a socket, copied a descriptor, or returned an address."""
        if call.error and call.error not in UNDER_WAY:
            return
        if call.name == "execve" and call.number == 0:
            self._held.executed(call.pid)
        if call.name == "socket":
            self._make(call)
            return
        socket = self._about.pop(id(call), None)
        if socket is None:
            return
        if call.name in ACCEPTING:
            self._accept(call, socket)
        elif call.name in COPYING:
            self._copy(call, socket)
        elif call.name == "getpeername":
            socket.peer = socket_address(call.arguments) or socket.peer
        elif call.name in ("bind", "getsockname"):
            told = socket_address(call.arguments)
            socket.local = told if told and not told.endswith(":0") else socket.local
        elif call.name == "listen":
            socket.is_listener = True

    def _copy(self, call: SystemCall, socket: TracedSocket) -> None:
        """A descriptor was copied; or fcntl() said whether execve() closes it."""
        copied, original = descriptor(call.result), descriptor(call.arguments)
        if call.name == "fcntl" and "F_SETFD" in call.arguments and original is not None:
            self._held.mark(call.pid, original.number, is_brief="FD_CLOEXEC" in call.arguments)
        elif copied is not None and (call.name != "fcntl" or "F_DUPFD" in call.arguments):
            self._held.put(call.pid, copied.number, socket)
            self._held.mark(call.pid, copied.number, is_brief="CLOEXEC" in call.arguments)

    def _end(self, event: Exit) -> None:
        """A thread has ended; with the last one of a process its sockets are closed."""
        leaving = self._leaving.get(event.pid)
        if leaving is not None:
            event = replace(event, time_ns=leaving.entered_ns, text=f"exit({leaving.arguments})")
        for socket in self._held.end(event.pid, lambda one: any(call.pid == event.pid for call in one.calls)):
            socket.exits.append(event)

    def _socket(self, call: SystemCall) -> TracedSocket | None:
        """Return the socket that a call is about; None if it is about something else."""
        told = descriptor(call.arguments)
        if told is None or told.is_foreign:
            return None
        held = self._held.find(call.pid, told.number)
        socket = self._known(told, held, call.pid) or held
        if socket is None and call.name not in NETWORK:
            return None
        if socket is None or (call.name == "connect" and has_failed(socket)):
            socket = self._new(told, call.pid, of=socket)
        elif held is not socket:
            self._held.put(call.pid, told.number, socket)
        self._learn(socket, told)
        if connects(call):
            socket.peer = socket_address(call.arguments) or socket.peer
            socket.is_foreign = socket.is_foreign or "AF_UNIX" in call.arguments or "AF_NETLINK" in call.arguments
        return socket

    def _known(self, told: Descriptor, held: TracedSocket | None, pid: int) -> TracedSocket | None:
        """Return the socket that -y or -yy shows. If its ends differ, the port was used again by another socket.

        They are those of the one that the descriptor is `held` for then, if it may have them.
        """
        if told.inode is not None:
            return self._by_inode.get(told.inode)
        elder = self._by_ends.get((told.local, told.peer)) if told.peer else None
        if elder is None or held is None or not may_have(held, told):
            return elder
        return elder if self._held.may_hold(pid, elder) else held

    def _learn(self, socket: TracedSocket, told: Descriptor) -> None:
        """Note the addresses that strace -yy shows for a descriptor."""
        socket.local = told.local or socket.local
        socket.peer = told.peer or socket.peer
        socket.is_foreign = socket.is_foreign or told.is_foreign
        if told.peer:
            self._by_ends[told.local, told.peer] = socket

    def _make(self, call: SystemCall) -> None:
        """socket() returned one."""
        told, (family, *kinds) = descriptor(call.result), split(call.arguments)
        if told is not None:
            is_stream = any(kind.startswith("SOCK_STREAM") for kind in kinds)
            socket = self._new(told, call.pid)
            self._held.mark(call.pid, told.number, is_brief="SOCK_CLOEXEC" in call.arguments)
            socket.is_foreign = family not in ("AF_INET", "AF_INET6") or not is_stream

    def _accept(self, call: SystemCall, listener: TracedSocket) -> None:
        """accept() returned a socket."""
        told = descriptor(call.result)
        if told is None:
            return
        listener.is_listener = True
        socket = self._new(told, call.pid)
        self._held.mark(call.pid, told.number, is_brief="SOCK_CLOEXEC" in call.arguments)
        socket.listener, socket.accepted_by = listener, call
        socket.is_foreign = socket.is_foreign or listener.is_foreign
        socket.peer = socket.peer or socket_address(call.arguments)
        if not socket.local and not is_wildcard(listener.local):
            socket.local = listener.local

    def _new(self, told: Descriptor, pid: int, *, of: TracedSocket | None = None) -> TracedSocket:
        """Note a new socket, or the next connection `of` one whose last attempt has failed."""
        socket = TracedSocket(len(self.sockets))
        if of is not None:
            socket.is_foreign = of.is_foreign
        self._learn(socket, told)
        self.sockets.append(socket)
        self._held.put(pid, told.number, socket)
        if told.inode is not None:
            self._by_inode[told.inode] = socket
        return socket


def may_have(socket: TracedSocket, told: Descriptor) -> bool:
    """May a socket have these two ends: is one of its own known, and does none differ?"""
    both = ((socket.local, told.local), (socket.peer, told.peer))
    known = [(its, end) for its, end in both if not is_wildcard(its)]
    return not socket.is_listener and bool(known) and all(its == end for its, end in known)


def has_failed(socket: TracedSocket) -> bool:
    """Has a connect() of this socket failed, so that another one is another connection?"""
    opener = socket.opener
    if opener is None:
        return False
    asked = [call for call in socket.calls if call.name == "getsockopt" and "SO_ERROR" in call.arguments]
    return opener.error not in UNDER_WAY or any("[E" in call.arguments for call in asked)


def is_wildcard(local: str) -> bool:
    """Is it no address of a host: none, or any?"""
    return not local or local.startswith(("0.0.0.0:", "[::]:"))
