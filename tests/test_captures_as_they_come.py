"""Captures as people have them: out of order, doubled, of both sides of a router, in halves, of clocks that were set.

Each is made of sound captures octet by octet, and must say what those say: the whole contract is compared, but for the
numbers of frames, and for what the test is about.
"""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.inputs import Input
from handshake_inspect.capture.records import RawFrame
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.connections.folding.gather import GatheredRows
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import Inspector
from handshake_inspect.views.remarks import remarks
from tests.capture.builders import enhanced, interface, option, section
from tests.capture.test_fragments import packet_of, pieces_of
from tests.oracles.everything import everything

PCAPS = Path(__file__).parent.parent / "pcaps"
NAMES = ["four-way", "half-close", "refused", "reset", "server-first", "three-segment", "unanswered"]
ETHERNET, SLL = 1, 113
MS = 1_000_000
CLIENT, SERVER = bytes([10, 1, 2, 3]), bytes([10, 9, 8, 7])


def session(name: str) -> list[RawFrame]:
    """Return a recorded session as if a network lay between its ends: real addresses, 20 ms between segments."""
    found = fetch(PCAPS / f"{name}.pcap", range(1, 100))
    frames = [found[number] for number in sorted(found)]
    client_port = frames[0].octets[34:36]
    out = []
    for number, frame in enumerate(frames):
        octets = frame.octets
        ends = (CLIENT, SERVER) if octets[34:36] == client_port else (SERVER, CLIENT)
        octets = octets[:26] + b"".join(ends) + octets[34:]
        out.append(dataclasses.replace(frame, octets=octets, time_ns=frames[0].time_ns + number * 20 * MS))
    return out


def later(frame: RawFrame, nanoseconds: int) -> RawFrame:
    return dataclasses.replace(frame, time_ns=frame.time_ns + nanoseconds)


def in_vlan(frame: RawFrame, number: int) -> RawFrame:
    """Put a frame into a VLAN (IEEE 802.1Q)."""
    octets = frame.octets[:12] + struct.pack("!HH", 0x8100, number) + frame.octets[12:]
    return dataclasses.replace(frame, octets=octets, original=frame.original + 4)


def hop_further(frame: RawFrame) -> RawFrame:
    """Forward a frame as a router does: other Ethernet addresses, one less to live (RFC 1812 §5.3.1)."""
    octets = bytearray(frame.octets)
    octets[:12] = bytes(range(12))
    octets[22] -= 1
    return dataclasses.replace(frame, octets=bytes(octets))


def identified(frame: RawFrame, number: int) -> RawFrame:
    return dataclasses.replace(frame, octets=frame.octets[:18] + struct.pack("!H", number) + frame.octets[20:])


def from_client(frame: RawFrame) -> bool:
    return frame.octets[26:30] == CLIENT


def mixed(names: Sequence[str] = NAMES) -> list[RawFrame]:
    """All sessions at once."""
    frames = [frame for name in names for frame in session(name)]
    first = min(frame.time_ns for frame in frames)
    starts = {name: session(name)[0].time_ns for name in names}
    moved = [
        later(frame, first - starts[name] + number * 7 * MS)
        for number, name in enumerate(names)
        for frame in session(name)
    ]
    return sorted(moved, key=lambda frame: frame.time_ns)


def saved(path: Path, frames: Iterable[RawFrame], link_type: int = ETHERNET) -> Path:
    write_pcap(path, frames, link_type)
    return path


def said(inspection: Inspection, *but: str) -> list[dict[str, Any]]:
    """Return everything of all connections in order of their first time, without what depends on frames."""
    left_out = {"stream", "first_frame", "last_frame", "frame", "frames", "entered_frame", "ended_frame", *but}

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items() if name not in left_out}
        return [bare(one) for one in value] if isinstance(value, list) else value

    return sorted((bare(one) for one in everything(inspection, steps=True)), key=lambda one: one["first_ns"])


def told(inspection: Inspection) -> list[str]:
    return list(remarks(inspection.overview))


def assert_whatever_the_blocks(*paths: Path) -> None:
    """Nothing depends on how much is read at once, on folding, or on who cuts the records."""
    whole = everything(inspect(list(paths)), steps=True)
    assert everything(inspect(list(paths), block_octets=200), steps=True) == whole
    assert everything(inspect(list(paths), reader="scapy"), steps=True) == whole
    folded = Inspector()
    folded.analysis.gathering = GatheredRows(fold_rows=16, long_rows=4)
    folded.read([Input(path, block_octets=500) for path in paths])
    assert everything(folded.result(), steps=True) == whole


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_frames_out_of_order_say_what_they_say_in_order(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    frames = mixed()
    shuffled = sorted(frames, key=lambda frame: frame.time_ns + rng.randrange(0, 50 * MS))
    plain = inspect(saved(tmp_path / "plain.pcap", frames))
    found = inspect(saved(tmp_path / "shuffled.pcap", shuffled))
    assert said(found) == said(plain)
    assert not plain.captures[0].disorder.frames
    behind = [max(one.time_ns for one in shuffled[: i + 1]) - frame.time_ns for i, frame in enumerate(shuffled)]
    assert found.captures[0].disorder.frames == sum(one > 0 for one in behind)
    assert found.captures[0].disorder.largest_ns == max(behind)
    (line,) = (line for line in told(found) if "out of order" in line)
    assert line.endswith(f"out of order by up to {max(behind) / MS:.3f} ms: put in order of time")
    assert_whatever_the_blocks(tmp_path / "shuffled.pcap")


def test_two_interfaces_that_take_turns(tmp_path: Path) -> None:
    """One interface has what the client sends, the other what the server sends, each handed over every 250 ms."""
    frames = mixed()
    turns = sorted(frames, key=lambda frame: (frame.time_ns // (250 * MS), not from_client(frame), frame.time_ns))
    blocks = [section(), *[interface(1, option(9, b"\x09"))] * 2]
    blocks += [enhanced(one.octets, one.original, one.time_ns, 0 if from_client(one) else 1) for one in turns]
    (tmp_path / "turns.pcapng").write_bytes(b"".join(blocks))
    plain = inspect(saved(tmp_path / "plain.pcap", frames))
    found = inspect(tmp_path / "turns.pcapng")
    assert said(found) == said(plain)
    assert found.captures[0].disorder.frames > 10
    assert found.captures[0].disorder.jumps == 0
    assert_whatever_the_blocks(tmp_path / "turns.pcapng")


@pytest.mark.parametrize("at", [1, 2, 4, 8])
def test_a_clock_that_is_set_back_changes_nothing_but_intervals(at: int, tmp_path: Path) -> None:
    frames = session("four-way")
    jumped = [*frames[:at], *(later(frame, -3_200 * MS) for frame in frames[at:])]
    (plain,) = inspect(saved(tmp_path / "plain.pcap", frames)).connections
    inspection = inspect(saved(tmp_path / "jumped.pcap", jumped))
    (found,) = inspection.connections
    assert (found.states, found.segments, found.octets) == (plain.states, plain.segments, plain.octets)
    assert (found.first_frame, found.last_frame) == (1, len(frames))
    shake, sound = found.handshake, plain.handshake
    assert (
        dataclasses.replace(
            sound,
            syn_to_syn_ack_ns=None if at == 1 else sound.syn_to_syn_ack_ns,
            syn_ack_to_ack_ns=None if at == 2 else sound.syn_ack_to_ack_ns,
            initial_rtt_ns=None if at < 3 else sound.initial_rtt_ns,
        )
        == shake
    )
    assert found.teardown.half_closed_ns == (None if at == 8 else plain.teardown.half_closed_ns)
    assert told(inspection) == [
        f"{tmp_path}/jumped.pcap: the clock jumps back 1 time, by up to 3.180 s, first at frame {at + 1}: kept in the "
        "order of the file, intervals across it are not known (captures put behind each other? reordercap sorts them)"
    ]
    assert_whatever_the_blocks(tmp_path / "jumped.pcap")


def test_how_a_time_wait_ended_is_not_known_across_a_jump(tmp_path: Path) -> None:
    frames = session("four-way")
    again = [later(frame, 30_000 * MS) for frame in frames]
    (first, _) = inspect(saved(tmp_path / "soon.pcap", [*frames, *again])).connections
    assert first.time_wait[0].outcome == "reused-early"
    back = [later(frame, -90_000 * MS) for frame in again]
    (first, _) = inspect(saved(tmp_path / "jumped.pcap", [*frames, *back])).connections
    assert first.time_wait[0].outcome == "not-captured"


# --- copies ----------------------------------------------------------------------------------------------------------

#: What shows each frame: how often, and what is told of it.
SHOWN: dict[str, tuple[Callable[[RawFrame], list[RawFrame]], str]] = {
    "a port mirror": (lambda one: [one, later(one, 3 * MS)], "as a port mirror or a bridge shows them"),
    "a bridge with two ports": (
        lambda one: [one, later(one, 40_000), later(one, 90_000)], "as a port mirror or a bridge shows them",
    ),
    "a router in two VLANs": (
        lambda one: [in_vlan(one, 10), in_vlan(later(hop_further(one), 400_000), 20)],
        "on the other side of a router",
    ),
    "two routers": (
        lambda one: [one, later(hop_further(one), MS), later(hop_further(hop_further(one)), 2 * MS)],
        "on the other side of a router",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SHOWN)
def test_a_capture_that_shows_every_segment_more_than_once(what: str, tmp_path: Path) -> None:
    show, words = SHOWN[what]
    frames = mixed()
    shown = sorted((copy for frame in frames for copy in show(frame)), key=lambda frame: frame.time_ns)
    plain = inspect(saved(tmp_path / "plain.pcap", frames))
    found = inspect(saved(tmp_path / "shown.pcap", shown))
    # Zeek collapses nothing: copies of payload are repetitions in its history; a VLAN stands in the encapsulation.
    but = ("duplicates", "history", "encapsulation", "conn_state")
    assert said(found, *but) == said(plain, *but)
    assert found.duplicates == len(shown) - len(frames)
    assert told(found) == [
        f"{found.duplicates} segments captured again {words}: counted once".replace(
            "again as", "again within 10 ms, as"
        )
    ]
    assert_whatever_the_blocks(tmp_path / "shown.pcap")


def test_what_a_network_delivers_twice_is_two_segments(tmp_path: Path) -> None:
    """The same octets again, identification and all, 0.2 ms later: of some segments, not of most."""
    for doubled in ([3], [0], [0, 1], [2, 5, 7]):
        frames = session("four-way")
        twice = [
            copy for i, one in enumerate(frames) for copy in [one, later(one, 200_000)][: 2 if i in doubled else 1]
        ]
        inspection = inspect(saved(tmp_path / "twice.pcap", twice))
        (found,) = inspection.connections
        assert found.segments.originator + found.segments.responder == len(twice)
        assert (found.duplicates, told(inspection)) == (0, [])


def test_real_repetitions_of_a_doubled_capture_stay(tmp_path: Path) -> None:
    frames = session("four-way")
    again = [*frames[:4], identified(later(frames[3], 5 * MS), 0xABCD), *frames[4:]]
    doubled = [copy for one in again for copy in (one, later(one, 2 * MS))]
    doubled.sort(key=lambda one: one.time_ns)
    (plain,) = inspect(saved(tmp_path / "plain.pcap", again)).connections
    (found,) = inspect(saved(tmp_path / "doubled.pcap", doubled)).connections
    assert found.octets == plain.octets
    assert found.octets.originator == 8
    assert (found.segments, found.duplicates) == (plain.segments, len(again))


def test_a_syn_that_is_repeated_stays(tmp_path: Path) -> None:
    frames = [identified(frame, 100 + number) for number, frame in enumerate(session("unanswered"))]
    (found,) = inspect(saved(tmp_path / "asked.pcap", frames)).connections
    assert (found.handshake.syn_retransmissions, found.duplicates) == (3, 0)


def test_acknowledgments_without_any_identity_stay(tmp_path: Path) -> None:
    """Three equal ACKs of an end that numbers nothing: they ask for a fast retransmission (RFC 5681 §3.2)."""
    frames = session("four-way")
    bare = dataclasses.replace(
        frames[2],
        octets=frames[2].octets[:18] + b"\0\0" + frames[2].octets[20:46] + b"\x50" + frames[2].octets[47:54],
        original=54,
    )
    bare = dataclasses.replace(bare, octets=bare.octets[:16] + struct.pack("!H", 40) + bare.octets[18:])
    again = [bare, later(bare, 100_000), later(bare, 200_000), later(bare, 300_000)]
    (found,) = inspect(saved(tmp_path / "acks.pcap", [*frames[:2], *again])).connections
    assert (found.segments.originator, found.duplicates) == (5, 0)


def test_conversations_too_short_to_tell_are_judged_by_their_capture(tmp_path: Path) -> None:
    """A scan: a SYN and an RST each, of which only the SYN has an identity."""
    scan = [
        later(from_port(frame, 20_000 + number), number * 100_000)
        for number in range(40)
        for frame in session("refused")
    ]
    doubled = sorted((copy for one in scan for copy in (one, later(one, MS))), key=lambda one: one.time_ns)
    alone = inspect(saved(tmp_path / "alone.pcap", doubled))
    assert (alone.duplicates, len(alone.connections)) == (0, 40)
    rest = [copy for one in mixed() for copy in (one, later(one, MS))]
    doubled = sorted(doubled + rest, key=lambda one: one.time_ns)
    both = inspect(saved(tmp_path / "both.pcap", doubled))
    assert both.duplicates == len(doubled) // 2
    assert {one.handshake.syn_retransmissions for one in both.connections if one.originator.port >= 20_000} >= {0}
    assert sum(one.segments.originator for one in both.connections if one.handshake.kind == "refused") == 41
    assert_whatever_the_blocks(tmp_path / "both.pcap")


def from_port(frame: RawFrame, port: int) -> RawFrame:
    """Let another socket of the client have the conversation."""
    at = 34 if from_client(frame) else 36
    return dataclasses.replace(frame, octets=frame.octets[:at] + struct.pack("!H", port) + frame.octets[at + 2 :])


def long_transfer() -> list[RawFrame]:
    """Return 3,000 segments of 4 octets, each acknowledged, 300 us apart."""
    frames = session("four-way")
    data, ack = frames[3], frames[4]
    seq, acked = int.from_bytes(data.octets[38:42], "big"), int.from_bytes(ack.octets[42:46], "big")
    transfer = frames[:3]
    for number in range(3000):
        segment = data.octets[:38] + struct.pack("!I", seq + 4 * number) + data.octets[42:]
        answer = ack.octets[:42] + struct.pack("!I", acked + 4 * number) + ack.octets[46:]
        at = 60 * MS + number * 300_000
        transfer.append(identified(dataclasses.replace(data, octets=segment, time_ns=frames[0].time_ns + at), number))
        at += 50_000
        transfer.append(identified(dataclasses.replace(ack, octets=answer, time_ns=frames[0].time_ns + at), number))
    return transfer


def test_a_long_transfer_that_is_mirrored_is_folded_and_every_copy_counted(tmp_path: Path) -> None:
    transfer = long_transfer()
    doubled = sorted((copy for one in transfer for copy in (one, later(one, 4 * MS))), key=lambda one: one.time_ns)
    path = saved(tmp_path / "mirrored.pcap", doubled)
    (plain,) = inspect(saved(tmp_path / "plain.pcap", transfer)).connections
    folded = Inspector()
    folded.analysis.gathering = GatheredRows(fold_rows=512, long_rows=16)
    folded.read([Input(path, block_octets=20_000)])
    assert len(folded.analysis.gathering) < 1000
    for (found,) in (folded.result().connections, inspect(path).connections):
        assert (found.segments, found.octets, found.states) == (plain.segments, plain.octets, plain.states)
        assert found.duplicates == len(transfer)


def test_the_copies_that_a_mirror_shows_in_the_next_file_of_a_rotation_are_copies(tmp_path: Path) -> None:
    """They come 4 ms later: each file begins with those of the last 26 segments of the one before."""
    transfer = long_transfer()
    (plain,) = inspect(saved(tmp_path / "plain.pcap", transfer)).connections
    doubled = sorted((copy for one in transfer for copy in (one, later(one, 4 * MS))), key=lambda one: one.time_ns)
    files = [saved(tmp_path / f"{at}.pcap", doubled[at : at + 3001]) for at in range(0, len(doubled), 3001)]
    folded = Inspector()
    folded.analysis.gathering = GatheredRows(fold_rows=512, long_rows=16)
    folded.read([Input(file, block_octets=20_000) for file in files])
    for result in (folded.result(), inspect(files, fold=False)):
        (found,) = result.connections
        assert (found.segments, found.octets, found.states) == (plain.segments, plain.octets, plain.states)
        assert result.copies == {"mirror": len(transfer)}


def test_datagrams_on_both_sides_of_a_router_are_counted_once(tmp_path: Path) -> None:
    frames = session("udp")
    asked = [identified(later(frames[0], number * 50 * MS), 7 + number) for number in range(4)]
    shown = [copy for one in asked for copy in (in_vlan(one, 1), in_vlan(later(hop_further(one), MS), 2))]
    (found,) = inspect(saved(tmp_path / "udp.pcap", shown)).exchanges
    assert (found.datagrams.originator, found.duplicates) == (4, 4)
    (found,) = inspect([saved(tmp_path / "a.pcap", asked), saved(tmp_path / "b.pcap", asked[1:])]).exchanges
    assert (found.datagrams.originator, found.duplicates) == (4, 3)


def cooked(frame: RawFrame, packet_type: int) -> RawFrame:
    """The same packet as `tcpdump -i any` shows it (LINKTYPE_LINUX_SLL)."""
    octets = struct.pack("!HHH8sH", packet_type, 1, 6, bytes(8), 0x0800) + frame.octets[14:]
    return dataclasses.replace(frame, octets=octets, original=len(octets), link_type=SLL)


def test_any_on_a_host_with_a_bridge_shows_three_copies(tmp_path: Path) -> None:
    """From a container: in by its veth, in by the bridge, out by the card; to it the other way round."""
    frames = session("four-way")
    ways = {True: (0, 0, 4), False: (0, 4, 4)}
    shown = [
        later(cooked(one, kind), delay * 8_000) for one in frames for delay, kind in enumerate(ways[from_client(one)])
    ]
    (plain,) = inspect(saved(tmp_path / "plain.pcap", frames)).connections
    inspection = inspect(saved(tmp_path / "any.pcap", shown, SLL))
    (found,) = inspection.connections
    assert (found.segments, found.duplicates) == (plain.segments, 2 * len(frames))
    assert (found.handshake, found.states) == (plain.handshake, plain.states)


# --- several captures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("swap", [False, True])
def test_one_direction_in_each_file(swap: bool, tmp_path: Path) -> None:
    """As a tap writes them."""
    frames = mixed()
    files = [
        saved(tmp_path / f"{name}.pcap", [frame for frame in frames if from_client(frame) == is_client])
        for name, is_client in (("to", True), ("from", False))
    ]
    plain = inspect(saved(tmp_path / "plain.pcap", frames))
    found = inspect(files[::-1] if swap else files)
    assert said(found) == said(plain)
    assert [one.name for one in found.captures] == [str(path) for path in (files[::-1] if swap else files)]
    assert_whatever_the_blocks(*files)
    (alone,) = (line for line in told(inspect(files[0])) if "one direction" in line)
    opened = [name for name in NAMES if name not in ("refused", "unanswered")]
    assert alone == f"{len(opened)} of {len(NAMES)} connections captured in one direction only"


def test_files_of_a_rotating_capture_may_be_named_in_any_order(tmp_path: Path) -> None:
    frames = mixed()
    parts = [
        saved(tmp_path / f"{number}.pcap", frames[begin : begin + 11])
        for number, begin in enumerate(range(0, len(frames), 11))
    ]
    plain = inspect(saved(tmp_path / "plain.pcap", frames))
    assert said(inspect(parts)) == said(plain)
    assert said(inspect(parts[::-1])) == said(plain)
    assert_whatever_the_blocks(*parts[::-1])


def unidentified(frame: RawFrame) -> RawFrame:
    """Take a frame's identification and timestamps away, as an end over IPv6 without RFC 7323 has neither."""
    octets = bytearray(identified(frame, 0).octets)
    data = 34 + (octets[46] >> 4) * 4
    octets[54:data] = b"\x01" * (data - 54)  # options: no-operation
    return dataclasses.replace(frame, octets=bytes(octets))


@pytest.mark.parametrize("begin", [1, 2])
def test_what_is_sent_again_in_the_next_file_of_a_rotating_capture_stays(begin: int, tmp_path: Path) -> None:
    """Nothing but its time tells the repetition from what it repeats."""
    frames = [unidentified(frame) for frame in session("four-way")]
    again = [*frames[:5], later(frames[3], 5 * MS), *frames[5:]]
    plain = inspect(saved(tmp_path / "plain.pcap", again))
    files = [saved(tmp_path / "1.pcap", again[: 3 + begin]), saved(tmp_path / "2.pcap", again[3 + begin :])]
    assert said(inspect(files)) == said(plain)
    assert plain.connections[0].octets.originator == 8


@pytest.mark.parametrize("sent", range(8))
@pytest.mark.parametrize("after_ns", [0, 1000, 200 * MS])
def test_what_is_sent_again_with_its_identification_stays_where_one_file_ends(
    sent: int, after_ns: int, tmp_path: Path
) -> None:
    """RFC 6864 §4.1 lets it have that. The files of a rotation do not overlap: what both show was there twice."""
    frames = session("four-way")
    cut = sent + 1
    again = [*frames[:cut], later(frames[sent], after_ns), *(later(one, after_ns) for one in frames[cut:])]
    plain = inspect(saved(tmp_path / "plain.pcap", again))
    files = [saved(tmp_path / "1.pcap", again[:cut]), saved(tmp_path / "2.pcap", again[cut:])]
    assert said(inspect(files)) == said(plain)
    assert plain.duplicates == 0
    assert_whatever_the_blocks(*files)


def test_so_it_does_where_two_places_are_captured_in_files(tmp_path: Path) -> None:
    """The files of both places end at about the same time, and what was sent again is in all four."""
    frames = session("four-way")
    again = [*frames[:4], later(frames[3], 200 * MS), *(later(one, 200 * MS) for one in frames[4:])]
    places = [("a", again), ("b", [later(hop_further(one), MS) for one in again])]
    files = [
        saved(tmp_path / f"{name}{n}.pcap", part)
        for name, shown in places
        for n, part in enumerate((shown[:4], shown[4:]))
    ]
    (plain,) = inspect(saved(tmp_path / "plain.pcap", again)).connections
    for order in ((0, 1, 2, 3), (0, 2, 1, 3), (3, 1, 2, 0)):
        (found,) = inspect([files[n] for n in order]).connections
        assert (found.segments, found.octets, found.duplicates) == (plain.segments, plain.octets, len(again))


@pytest.mark.parametrize("cut", range(5, 19, 2))
def test_a_packet_and_its_copy_may_stand_in_two_files_of_what_a_mirror_shows(cut: int, tmp_path: Path) -> None:
    frames = session("four-way")
    doubled = sorted((copy for one in frames for copy in (one, later(one, MS))), key=lambda one: one.time_ns)
    (whole,) = inspect(saved(tmp_path / "whole.pcap", doubled)).connections
    files = [saved(tmp_path / "1.pcap", doubled[:cut]), saved(tmp_path / "2.pcap", doubled[cut:])]
    (found,) = inspect(files).connections
    assert (found.segments, found.states) == (whole.segments, whole.states)


def test_probes_that_keep_a_connection_alive_stay_in_every_file(tmp_path: Path) -> None:
    """They are all equal, and so are their answers (RFC 9293 §3.8.4)."""
    opening = [unidentified(frame) for frame in session("four-way")[:5]]
    files, whole = [], opening
    for number in range(3):
        probes = [later(frame, (number * 20 + i) * 7_200 * 1000 * MS) for i in range(1, 20) for frame in opening[3:5]]
        files.append(saved(tmp_path / f"{number}.pcap", [*opening, *probes] if number == 0 else probes))
        whole = [*whole, *probes]
    found = inspect(files)
    assert said(found) == said(inspect(saved(tmp_path / "whole.pcap", whole)))
    assert (found.duplicates, found.connections[0].segments.originator) == (0, 3 + 3 * 19)


@pytest.mark.parametrize("common", [3, 11, 60])
def test_captures_that_overlap_a_little_count_what_both_have_once(common: int, tmp_path: Path) -> None:
    """One ends while the other has begun: few of their segments are common, but all that both could have."""
    frames = session("four-way")
    data = [identified(later(frames[3], n * MS), 1000 + n) for n in range(200)]
    data = [
        dataclasses.replace(one, octets=one.octets[:38] + struct.pack("!I", n * 4 + seq) + one.octets[42:])
        for seq in [int.from_bytes(frames[3].octets[38:42])]
        for n, one in enumerate(data)
    ]
    a, b = [*frames[:3], *data[: 100 + common]], [later(one, -7 * MS) for one in data[100:]]
    plain = inspect(saved(tmp_path / "plain.pcap", [*frames[:3], *data]))
    found = inspect([saved(tmp_path / "a.pcap", a), saved(tmp_path / "b.pcap", b)])
    assert found.duplicates == common
    (one,), (other,) = found.connections, plain.connections
    assert (one.segments, one.octets, one.states) == (other.segments, other.octets, other.states)


@pytest.mark.parametrize("seed", range(12))
def test_the_pieces_of_a_capture_say_what_the_whole_says(seed: int, tmp_path: Path) -> None:
    """Cut by time, by direction, by socket, at random, and named in any order."""
    pick = random.Random(seed)
    frames = mixed(pick.sample(NAMES, pick.randint(1, len(NAMES))))
    cuts: list[Callable[[int, RawFrame], object]] = [
        lambda i, _: i // width,
        lambda _, frame: from_client(frame),
        lambda _, frame: frame.octets[34:38] if from_client(frame) else frame.octets[36:38] + frame.octets[34:36],
        lambda _, __: pick.randrange(3),
    ]
    width = pick.randint(1, 20)
    pieces: dict[object, list[RawFrame]] = {}
    chosen = pick.sample(cuts, pick.randint(1, 2))
    for i, frame in enumerate(frames):
        pieces.setdefault(tuple(cut(i, frame) for cut in chosen), []).append(frame)
    files = [saved(tmp_path / f"{number}.pcap", piece) for number, piece in enumerate(pieces.values())]
    pick.shuffle(files)
    whole = inspect(saved(tmp_path / "whole.pcap", frames))
    found = inspect(files)
    assert said(found) == said(whole)
    assert [line for line in told(found) if "counted once" in line] == []


@pytest.mark.parametrize("clock_ns", [0, 1_700 * MS, -1_700 * MS, -86_400_000 * MS, 90_000])
def test_two_capture_points_whatever_their_clocks(clock_ns: int, tmp_path: Path) -> None:
    """B is 4 ms nearer to the server, and its clock is another; each has missed a few frames."""
    frames = mixed()
    missed_by_a, missed_by_b = {1, 9, 17, 30}, {4, 5, 22, 31}
    a = [frame for i, frame in enumerate(frames) if i not in missed_by_a]
    b = [
        later(hop_further(frame), clock_ns + (4 if from_client(frame) else -4) * MS)
        for i, frame in enumerate(frames)
        if i not in missed_by_b
    ]
    b.sort(key=lambda frame: frame.time_ns)
    plain = inspect(saved(tmp_path / "plain.pcap", frames))
    files = [saved(tmp_path / "a.pcap", a), saved(tmp_path / "b.pcap", b)]
    found = inspect(files)
    both = len(frames) - len(missed_by_a) - len(missed_by_b)
    assert found.duplicates == both
    assert told(found) == [f"{both} segments captured in both {files[0]} and {files[1]}: counted once"]
    # Times of what only B has are those of its clock.
    for one, other in zip(by_port(found), by_port(plain), strict=True):
        for name in ("states", "segments", "octets", "missing_octets", "sent_octets", "completeness"):
            assert getattr(one, name) == getattr(other, name), name
        assert one.handshake.kind == other.handshake.kind
        assert one.teardown.kind == other.teardown.kind
    assert_whatever_the_blocks(*files)


def by_port(inspection: Inspection) -> list[Any]:
    return sorted(inspection.connections, key=lambda one: (one.originator.port, one.stream))


def test_the_same_file_twice_is_the_same_once(tmp_path: Path) -> None:
    path = saved(tmp_path / "once.pcap", mixed())
    once, twice = inspect(path), inspect([path, path])
    but = ("duplicates", "history", "conn_state")
    assert said(twice, *but) == said(once, *but)
    assert twice.duplicates == once.captures[0].segments


def test_public_captures_named_twice_are_the_same_once(captures_dir: Path) -> None:
    for path in sorted(one for one in captures_dir.iterdir() if ".pcap" in one.name):
        once, twice = inspect(path), inspect([path, path])
        assert twice.duplicates == once.captures[0].segments + once.duplicates, path.name
        assert len(twice.connections) == len(once.connections), path.name


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_of_two_captures_are_not_mixed(version: int, tmp_path: Path) -> None:
    """Blocks of both are decoded in turns."""
    pieces = [piece for i in range(4) for piece in pieces_of(version, packet_of(version, bytes([i]) * 40), 24)]
    frames = [RawFrame(octets, len(octets), 1000 * i, 101) for i, octets in enumerate(pieces)]
    path = saved(tmp_path / "pieces.pcap", frames, 101)
    once = inspect(path)
    assert once.captures[0].segments == 4
    for block_octets in (64, 150, None):
        twice = inspect([path, path], block_octets=block_octets)
        assert [capture.segments for capture in twice.captures] == [4, 4]
        assert not twice.unread


def test_a_file_that_cannot_be_used_does_not_keep_the_others_from_being_merged(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from handshake_inspect.cli import cli

    frames = session("four-way")
    halves = [saved(tmp_path / f"{i}.pcap", frames[i::2]) for i in (1, 0)]
    (tmp_path / "bad.pcap").write_bytes(b"nothing")
    found = CliRunner().invoke(cli, ["read", *map(str, [halves[0], tmp_path / "bad.pcap", halves[1]])])
    assert found.exit_code == 2
    assert found.stdout.count("four-way") == 1
    assert found.stderr.count("\n") == 1
    assert "bad.pcap" in found.stderr
