"""A system call in the words of the ladders: as the program called it in C, with what matters of its arguments.

In: `recvfrom(4, "BITH", 1024, 0, NULL, NULL) = 4`. Out: "recv", "recv(1024)" and "b'BITH'". send() is a sendto()
without an address to the kernel, recv() a recvfrom(), accept() an accept4(): here they have the names that programs
use.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from handshake_inspect.lab.calls import SHOWN_OCTETS
from handshake_inspect.lab.strace.arguments import STRING, buffers, descriptor, octets, socket_address, split
from handshake_inspect.lab.strace.lines import SystemCall

#: Calls whose first argument is a socket, and that have to do with what is on the wire.
SENDING = {"send", "sendto", "sendmsg", "sendmmsg", "write", "writev", "sendfile", "sendfile64", "splice"}
RECEIVING = {"recv", "recvfrom", "recvmsg", "recvmmsg", "read", "readv"}
ACCEPTING = {"accept", "accept4"}
OTHERS = {"bind", "listen", "connect", "shutdown", "close", "setsockopt", "getsockopt"}
SHOWN = SENDING | RECEIVING | ACCEPTING | OTHERS
#: Those that wait for the other end.
WAITING = RECEIVING | ACCEPTING | {"connect"}
FAST_OPEN = "MSG_FASTOPEN"
LINGER = re.compile(r"\{l_onoff=(\d+), l_linger=(\d+)\}")


class Octets(NamedTuple):
    """Octets of the conversation as text."""

    #: "b'BITH'"; where the log shows none, how many they are.
    text: str
    #: How many `text` shows, or shows the beginning of.
    size: int = 0


class Spelled(NamedTuple):
    """A call as text."""

    name: str
    text: str
    result: str
    #: What of `text` or `result` spells octets of the conversation.
    octets: Octets = Octets("")


def spelled(call: SystemCall, *, role: str = "") -> Spelled:
    """Return a call as text. `role`: the words in the brackets of close()."""
    arguments = split(call.arguments)
    name, said, shown = call.name, "", Octets("")
    result = call.error or call.result.split(" ")[0].partition("<")[0]
    if name in ACCEPTING:
        name, result = "accept", result if call.error else accepted(arguments, call.result) or result
    elif name in ("bind", "connect"):
        said = socket_address(call.arguments) or argument(arguments, 1)
    elif name in ("listen", "shutdown"):
        said = argument(arguments, 1)
    elif name == "close":
        said = role
    elif name in ("setsockopt", "getsockopt"):
        said = option(arguments, with_value=name == "setsockopt")
        result = result if call.error or name == "setsockopt" else value(argument(arguments, 3)) or result
    elif name in SENDING:
        name, said, shown = sending(call, arguments)
    elif name in RECEIVING:
        name, said, shown = receiving(call, arguments, result)
        result = shown.text
    return Spelled(name, f"{name}({said})", result, shown if shown.size else Octets(""))


def argument(arguments: Sequence[str], place: int) -> str:
    """Return one of the arguments, "" if there are not so many."""
    return arguments[place] if place < len(arguments) else ""


def accepted(arguments: Sequence[str], result: str) -> str:
    """Return the address that accept() returned, if the log has it."""
    told = descriptor(result)
    return socket_address(argument(arguments, 1)) or (told.peer if told is not None else "")


def option(arguments: Sequence[str], *, with_value: bool) -> str:
    """Spell a socket option: "SO_REUSEADDR, 1"."""
    name = argument(arguments, 2)
    return f"{name}, {value(argument(arguments, 3))}" if with_value else name


def value(text: str) -> str:
    """Spell the value of an option: "[1]" and "[ECONNREFUSED]" without brackets, SO_LINGER in words."""
    if linger := LINGER.fullmatch(text):
        return f"on, {linger.group(2)} s" if linger.group(1) != "0" else "off"
    return text.removeprefix("[").removesuffix("]")


def sending(call: SystemCall, arguments: Sequence[str]) -> tuple[str, str, Octets]:
    """Return the name of a call that sends, its arguments, and what of them it is asked to send."""
    if call.name in ("write", "send", "sendto"):
        size = int(argument(arguments, 2)) if argument(arguments, 2).isdigit() else None
        flags = [flag for flag in argument(arguments, 3).split("|") if flag not in ("", "0", "MSG_NOSIGNAL")]
        is_fast = FAST_OPEN in flags
        name = "send" if call.name == "sendto" and not is_fast else call.name
        where = [socket_address(call.arguments)] if is_fast else []
        sent = content(argument(arguments, 1), size)
        return name, ", ".join([sent.text, *flags, *where]), sent
    if call.name in ("sendmsg", "writev"):
        sent = spell(*buffers(call.arguments))
        return call.name, sent.text, sent
    size_at = {"sendfile": 3, "sendfile64": 3, "splice": 4}.get(call.name)
    said = argument(arguments, size_at) if size_at is not None else "…"
    return call.name.removesuffix("64"), said, Octets("")


def receiving(call: SystemCall, arguments: Sequence[str], result: str) -> tuple[str, str, Octets]:
    """Return the name of a call that receives, what it asks for and what it got."""
    got, nothing = call.number, Octets(result)
    has_failed = call.error or got is None or got < 0
    if call.name in ("recv", "recvfrom", "read"):
        name = "recv" if call.name == "recvfrom" else call.name
        flags = [flag for flag in argument(arguments, 3).split("|") if flag not in ("", "0")]
        said = ", ".join([argument(arguments, 2) or "…", *flags])
        return name, said, nothing if has_failed else content(argument(arguments, 1), got)
    if call.name in ("recvmsg", "readv"):
        shown, size = buffers(call.arguments)
        return call.name, str(size) if size else "…", nothing if has_failed or got is None else spell(shown[:got], got)
    return call.name, "…", nothing


def content(text: str, size: int | None) -> Octets:
    """Spell a string argument of which so many octets count."""
    if not re.fullmatch(STRING, text, re.DOTALL):
        return Octets(f"{size} octets" if size is not None else "…")
    shown = octets(text)
    return spell(shown if size is None else shown[:size], len(shown) if size is None else size)


def spell(shown: bytes, size: int) -> Octets:
    """Spell octets as `calls.spell_octets` does, where the log has only their beginning."""
    if size <= SHOWN_OCTETS and len(shown) == size:
        return Octets(repr(shown), size)
    return Octets(f"{shown[:SHOWN_OCTETS]!r}… {size} octets", size)
