"""The tracepoint: pages put together by hand, and what stays behind on the machine (nothing)."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.lab.kernel import tracepoint
from handshake_inspect.lab.kernel.account import SocketFilter
from handshake_inspect.lab.kernel.ring_buffer import events_lost, events_of_page, parse_format
from handshake_inspect.lab.kernel.tracepoint import TraceError, mount_privately, parse_event, remove_stale, tracing
from handshake_inspect.lab.kernel.watch import watching
from handshake_inspect.lab.world import in_child, in_private_world
from tests.lab.privileges import as_ordinary_user, needs_private_world, needs_tracepoint

R = TypeVar("R")

HEADER_PAGE = """\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
"""
#: Not as this kernel has it: the offsets are to be taken from here.
FORMAT = """name: inet_sock_set_state
ID: 2287
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:int newstate;\toffset:16;\tsize:4;\tsigned:1;
\tfield:int oldstate;\toffset:20;\tsize:4;\tsigned:1;
\tfield:__u16 dport;\toffset:24;\tsize:2;\tsigned:0;
\tfield:__u16 sport;\toffset:26;\tsize:2;\tsigned:0;
\tfield:__u16 family;\toffset:28;\tsize:2;\tsigned:0;
\tfield:__u16 protocol;\toffset:30;\tsize:2;\tsigned:0;
\tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;
\tfield:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;
\tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;
\tfield:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;

print fmt: "family=%s", __print_symbolic(REC->family, { 2, "AF_INET" })
"""
PAGE, FIELDS = parse_format(HEADER_PAGE), parse_format(FORMAT)


def event_word(type_len: int, delta: int) -> bytes:
    return struct.pack("=I", delta << 5 | type_len if sys.byteorder == "little" else type_len << 27 | delta)


def page(*parts: bytes, time_ns: int = 1_000, flags: int = 0) -> bytes:
    data = b"".join(parts)
    return (struct.pack("=QQ", time_ns, len(data) | flags) + data).ljust(4096, b"\0")


def record(*, family: int, protocol: int, sport: int = 8000) -> bytes:
    return (
        struct.pack("=HxxxxxxQiiHHHH", 2287, 0xFFFF8881_12345678, 7, 5, 54668, sport, family, protocol)
        + socket.inet_aton("127.9.9.9")
        + socket.inet_aton("127.0.0.1")
        + socket.inet_pton(socket.AF_INET6, "::1")
        + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    )


def test_fields_are_where_the_format_file_says() -> None:
    assert (FIELDS["saddr_v6"].offset, FIELDS["saddr_v6"].size) == (40, 16)
    event = parse_event(5, record(family=socket.AF_INET, protocol=6), FIELDS)
    assert event
    assert (event.old, event.new, event.skaddr) == ("FIN-WAIT-2", "CLOSED", 0xFFFF8881_12345678)
    assert (event.local, event.remote) == (Endpoint("127.9.9.9", 8000), Endpoint("127.0.0.1", 54668))


def test_ipv6_and_other_protocols() -> None:
    event = parse_event(5, record(family=socket.AF_INET6, protocol=6, sport=0), FIELDS)
    assert event
    assert (event.local, event.remote) == (Endpoint("::1", 0), Endpoint("2001:db8::1", 54668))
    assert parse_event(5, record(family=socket.AF_INET, protocol=132), FIELDS) is None


def test_a_page_of_every_kind_of_entry() -> None:
    stamp = 0x123456789
    octets = page(
        event_word(2, 10) + b"eight...",
        event_word(0, 5) + struct.pack("=I", 4 + 120) + b"l" * 120,  # its length in a word of its own
        event_word(30, 7) + struct.pack("=I", 1),  # time extend
        event_word(1, 1) + b"four",
        event_word(29, 3) + struct.pack("=I", 8) + b"gone",  # an event that was discarded
        event_word(31, stamp & (1 << 27) - 1) + struct.pack("=I", stamp >> 27),  # absolute
        event_word(1, 2) + b"last",
        event_word(29, 0) + b"rest is empty",
    )
    assert list(events_of_page(octets, PAGE)) == [
        (1_010, b"eight..."),
        (1_015, b"l" * 120),
        (1_015 + 7 + (1 << 27) + 1, b"four"),
        (stamp + 2, b"last"),
    ]


def test_what_was_lost_is_noticed() -> None:
    assert not events_lost(page(), PAGE)
    flagged = page(event_word(1, 1) + b"four", flags=1 << 31)
    assert events_lost(flagged, PAGE)
    assert [octets for _, octets in events_of_page(flagged, PAGE)] == [b"four"]


def test_cut_pages_end_early() -> None:
    whole = page(event_word(2, 10) + b"eight...", event_word(1, 1) + b"four")
    for size in range(16, 40):
        assert len(list(events_of_page(whole[:size], PAGE))) <= 2


# --- the real one ----------------------------------------------------------------------------------------------------


def as_root(function: Callable[[], R]) -> R:
    needs_tracepoint()
    needs_private_world()
    return in_private_world(function)


def instances() -> list[str]:
    def look() -> list[str]:
        return sorted(path.name for path in (mount_privately() / "instances").iterdir())

    return in_child(look)


def of_process(pid: int) -> list[str]:
    return [name for name in instances() if name.startswith(f"{tracepoint.PREFIX}-{pid}-")]


def test_an_ordinary_user_and_root_of_a_user_namespace_may_not() -> None:
    why = "tracing is for root of the host"
    assert as_ordinary_user(tracepoint.why_no_tracepoint) == why
    needs_private_world()
    assert as_ordinary_user(lambda: in_private_world(tracepoint.why_no_tracepoint)) == why
    with pytest.raises(TraceError, match=f"^{why}$"):
        as_ordinary_user(mount_privately)


def test_what_is_faster_than_we_read_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracepoint, "BUFFER_KIB", 8)

    def too_many() -> tuple[int, int]:
        with tracing() as trace:
            for _ in range(2000):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", 0))
                    one.listen()
            return len(trace.read()), trace.lost()

    kept, lost = as_root(too_many)
    assert 0 < kept < 4000
    assert kept + lost >= 4000


def listening_at(address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
        one.bind((address, 0))
        one.listen()


@pytest.mark.parametrize("ours", ["127.77.1.9", "::1"])
def test_a_burst_of_others_does_not_fill_the_buffers(ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracepoint, "BUFFER_KIB", 8)

    def among_others() -> tuple[set[str], int, int]:
        with tracing({ours}) as trace:
            listening_at(ours)
            for _ in range(2000):
                listening_at("127.77.1.10")
            listening_at(ours)
            events = trace.read()
            return {event.local.ip for event in events}, len(events), trace.lost()

    addresses, told, lost = as_root(among_others)
    if ours == "::1":  # of IPv6 all addresses, and other tests may use them
        assert ours in addresses
        assert not any("." in address for address in addresses)
    else:
        assert (addresses, told, lost) == ({ours}, 4, 0)  # each opened and closed


def test_a_watcher_leaves_no_instance_and_one_that_was_killed_is_cleared_up() -> None:
    needs_tracepoint()
    needs_private_world()

    def killed(number: int) -> int:
        def trace_and_wait() -> None:
            with tracing():
                os.write(writer, b"1")
                time.sleep(60)

        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit())
                trace_and_wait()
            finally:
                os._exit(0)
        os.read(reader, 1)
        assert of_process(pid)
        os.kill(pid, number)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)
        return pid

    assert not of_process(killed(signal.SIGTERM))
    stale = killed(signal.SIGKILL)
    assert of_process(stale)
    in_child(lambda: remove_stale(mount_privately() / "instances"))
    assert not of_process(stale)


def test_the_instance_of_a_living_watcher_is_left_alone() -> None:
    needs_tracepoint()
    needs_private_world()
    with watching(SocketFilter(ports={1})) as watch:
        in_child(lambda: remove_stale(mount_privately() / "instances"))
        assert of_process(watch.pid)
        assert watch.end().traced
    assert not of_process(watch.pid)


def test_a_tracepoint_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracepoint, "EVENT", "events/sock/no_such_event")
    with pytest.raises(TraceError, match=r"^this kernel has no tracepoint sock:inet_sock_set_state"):
        as_root(lambda: str(mount_privately()))


def test_a_process_that_is_gone_has_no_start() -> None:
    assert tracepoint.start_of(os.getpid()) > 0
    assert tracepoint.start_of(2**22 + 1) == 0
    assert Path("/proc/self/stat").exists()
