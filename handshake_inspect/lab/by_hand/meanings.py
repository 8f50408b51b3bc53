"""What an error of a socket call means, and what to do, in words for who sees it the first time.

In: a `CallError` and the transport. Out: one line. Read RFC 9293 §3.10.7 for the RSTs, RFC 1122 §4.1.3.3 for what UDP
is told by ICMP; unix(7), tcp(7), udp(7), ip(7) for the names.
"""

from __future__ import annotations

from collections.abc import Mapping

from handshake_inspect.lab.calls import CallError, End

#: Of a path at which something else is: Linux gives ECONNREFUSED there too.
NO_SOCKET = "that file is no socket: `echo serve --unix` makes one"
#: (transport, function, error) -> meaning. "" stands for any.
_MEANINGS: Mapping[tuple[str, str, str], str] = {
    ("tcp", "connect", "ECONNREFUSED"): "refused: an RST answered the SYN: nobody listens at that port",
    ("tcp", "connect", "ETIMEDOUT"): "nothing answered the SYN, however often it was sent",
    ("tcp", "connect", "EADDRNOTAVAIL"): "this source port has a connection there, perhaps in TIME-WAIT: take another",
    ("tcp", "shutdown", "ENOTCONN"): "reset: an RST has come: there is no connection any more, and no FIN is sent",
    ("udp", "", "ECONNREFUSED"): "refused: ICMP port unreachable came back: no socket has that port",
    ("unix", "connect", "ECONNREFUSED"): "the file is there, but no server listens at it any more",
    ("unix", "connect", "ENOENT"): "there is no such file: start the server first",
    ("unix", "connect", "EAGAIN"): "the server's backlog is full: it has not accepted those who came before",
    ("unix", "connect", "ENOTSOCK"): NO_SOCKET,
    ("unix", "bind", "EADDRINUSE"): "there is a file of that name: take another path, or end the server that has it",
    ("unix", "bind", "ENOENT"): "there is no such folder",
    ("unix", "", "ECONNRESET"): "the other end closed and left octets unread that were sent to it",
    ("", "bind", "EADDRINUSE"): "the port is taken: choose another, or 0 for one that is free",
    ("", "bind", "EADDRNOTAVAIL"): "this host does not have that address",
    ("", "bind", "EACCES"): "ports below 1024 need root: choose another",
    ("unix", "", "EACCES"): "the permissions of that path forbid it",
    ("", "", "EHOSTUNREACH"): "unreachable: a router said so by ICMP, or nobody on this network has that address (ARP)",
    ("", "", "ENETUNREACH"): "unreachable: this host has no route there, or a router said so by ICMP",
    (
        "",
        "",
        "ECONNRESET",
    ): "reset: an RST has come: the other end has dropped the connection, with all that was not read",
    ("", "", "ECONNABORTED"): "the client was gone before it was accepted",
    ("", "", "EPIPE"): "the connection was reset or closed before: there is nobody to send to",
    ("", "", "EMSGSIZE"): "too big for one datagram",
    ("", "", "EACCES"): "not permitted: a broadcast address, or a filter of this host",
    ("", "", "EPERM"): "a filter of this host forbids it",
}
#: (transport, function) -> what it means that nothing came in time.
_SILENCE: Mapping[tuple[str, str], str] = {
    (
        "tcp",
        "connect",
    ): "no SYN-ACK, no RST, no ICMP error: a filter drops the SYN, the accept queue is full, or nobody is there",
    ("tcp", "recv"): "the connection stands, but the other end says nothing; it may not be accepted yet",
    ("tcp", "send"): "the other end does not read: its window and this end's buffer are full",
    (
        "udp",
        "recv",
    ): "no answer: UDP does not say whether the datagram was lost, or the answer, or whether none was sent",
    ("unix", "recv"): "the other end says nothing",
}
#: The same for a server, which has accepted the client itself.
_SILENT_CLIENT = "the client says nothing and does not close: it is left"
#: For a client that has heard all echoes and waits for the server to close.
STILL_OPEN = "the server does not close: it waits for this end to close first, unless it was started with --close-first"


def end_of_stream(transport: str) -> str:
    """Say how a program is told that the other end has closed: recv() = b''."""
    return "its FIN is here" if transport == "tcp" else "the kernel says so, no FIN was sent"


def has_timed_out(error: CallError) -> bool:
    """Did the call end because nothing came in time?"""
    return error.result.startswith("timed out")


def meaning(error: CallError, transport: str, end: End = "client") -> str:
    """Return what the error means for a client or a server: "" if its name must speak for itself."""
    if has_timed_out(error):
        if end == "server" and error.name == "recv":
            return _SILENT_CLIENT
        return _SILENCE.get((transport, error.name), "")
    keys = ((one, name, error.result) for one in (transport, "") for name in (error.name, ""))
    return next((_MEANINGS[key] for key in keys if key in _MEANINGS), "")


def explained(error: CallError, transport: str) -> str:
    """Return the call, its error, and what that means, in one line."""
    said = meaning(error, transport)
    return f"{error}: {said}" if said else str(error)
