"""The filter of a socket: one classic BPF program, ours first and libpcap's after it.

In: the interfaces of a capture and a filter in tcpdump's language. Out: the program for the socket. Refused frames take
no room in the ring and are in no counter. Our part tests what the kernel knows beside a frame's octets (the ancillary
loads, SKF_AD_ in <linux/filter.h>; Documentation/networking/filter.rst of the kernel): its interface, the type of that,
and the frame's direction. Of each frame on loopback the outgoing copy is refused: the incoming one follows. Frames are
never compared by their octets: a real duplicate must be kept.

A filter means the same as in tcpdump: libpcap compiles it for each link type, for Ethernet with an open interface,
because only then it also looks for a VLAN tag where the kernel stores it: beside the frame.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import Any

from handshake_inspect.capture.live.interfaces import (
    ARPHRD_LOOPBACK,
    LINK_TYPES,
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    Interface,
    one_line,
)
from handshake_inspect.capture.records import CaptureError

#: Octets of a frame that are kept; only BIG TCP comes near. tcpdump's largest snapshot length.
FRAME_OCTETS_MAX = 256 << 10

# <asm-generic/socket.h>, <linux/bpf_common.h>, <linux/filter.h>, <linux/if_packet.h>
SO_ATTACH_FILTER = 26
LOAD_WORD, JUMP, JUMP_IF_EQUAL, RETURN = 0x20, 0x05, 0x15, 0x06
ANCILLARY = 0xFFFFF000
PACKET_TYPE, INTERFACE_INDEX, INTERFACE_TYPE = ANCILLARY + 4, ANCILLARY + 8, ANCILLARY + 28
PACKET_OUTGOING = 4
#: Longest program that the kernel accepts (BPF_MAXINSNS).
MOST_INSTRUCTIONS = 4096
#: DLT_RAW of Linux, libpcap's number for LINKTYPE_RAW.
DLT_RAW = 12

#: Operation, instructions to skip if true, instructions to skip if false, operand.
Instruction = tuple[int, int, int, int]
Program = list[Instruction]

REFUSE: Program = [(RETURN, 0, 0, 0)]
#: Keep one octet of a frame that is not read: enough to count it.
COUNT: Program = [(RETURN, 0, 0, 1)]


def attach(ours: socket.socket, program: Program) -> None:
    """Attach this program to the socket, replacing the present one at once. Raises OSError."""
    octets = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    ours.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))


def program_for(interfaces: Sequence[Interface], bpf: str | None, frame_octets: int, *, is_any: bool) -> Program:
    """Return the program that keeps `frame_octets` of each wanted frame. Raises CaptureError.

    These are the frames of `interfaces`, with `is_any` of all, that pass the filter `bpf`.
    """
    kept = dict.fromkeys(LINK_TYPES.values(), accept(frame_octets))
    if bpf is not None:
        there = {one.link_type: one for one in reversed(interfaces)}
        for link_type in kept:
            if link_type in there:
                kept[link_type] = cut_to(frame_octets, compiled(bpf, link_type, there[link_type]))
            elif is_any:
                kept[link_type] = cut_to(frame_octets, compiled_or_refused(bpf, link_type))
    program = by_type(kept)
    if not is_any and len(interfaces) > 1:
        program = switch(INTERFACE_INDEX, [(one.index, 0) for one in interfaces], REFUSE, program)
    if len(program) > MOST_INSTRUCTIONS:
        names = ",".join(one.name for one in interfaces)
        most = f"{len(program)} instructions, where the kernel takes {MOST_INSTRUCTIONS}"
        raise CaptureError(f"{names}: the filter is too long: it comes to {most}; ask for less, or for ranges of ports")
    return program


def accept(frame_octets: int) -> Program:
    """Return the program that keeps `frame_octets` of every frame."""
    return [(RETURN, 0, 0, frame_octets)]


def cut_to(frame_octets: int, program: Program) -> Program:
    """Return the program changed to keep at most `frame_octets` of a frame."""
    return [(code, yes, no, min(k, frame_octets) if code == RETURN else k) for code, yes, no, k in program]


def by_type(kept: dict[int, Program]) -> Program:
    """Return the program that continues by the link type of the interface, and refuses outgoing copies on loopback."""
    leaving: Program = [(LOAD_WORD, 0, 0, PACKET_TYPE), (JUMP_IF_EQUAL, 0, 1, PACKET_OUTGOING), *REFUSE]
    loopback = leaving + kept[LINKTYPE_ETHERNET]
    bodies, starts = list(loopback), {ARPHRD_LOOPBACK: 0}
    for link_type, program in kept.items():
        starts |= {kind: len(bodies) for kind, its in LINK_TYPES.items() if its == link_type and kind not in starts}
        bodies += program
    return switch(INTERFACE_TYPE, list(starts.items()), COUNT, bodies)


def switch(word: int, starts: Sequence[tuple[int, int]], otherwise: Program, bodies: Program) -> Program:
    """Return a program that loads a word and jumps to the offset in `bodies` for its value, or to `otherwise`."""
    tests: Program = []
    for left, (value, start) in zip(range(len(starts) - 1, -1, -1), starts, strict=True):
        # A test alone can skip at most 255 instructions.
        tests += [(JUMP_IF_EQUAL, 0, 1, value), (JUMP, 0, 0, 2 * left + len(otherwise) + start)]
    return [(LOAD_WORD, 0, 0, word), *tests, *otherwise, *bodies]


def compiled_or_refused(bpf: str, link_type: int) -> Program:
    """Compile a filter for interfaces that may come later; one that is invalid for their link type accepts no frame."""
    try:
        return compiled(bpf, link_type, None)
    except CaptureError:
        return REFUSE


def compiled(bpf: str, link_type: int, interface: Interface | None) -> Program:
    """Compile a filter with libpcap for frames of this link type, on an interface that has it. Raises CaptureError."""
    where = f"{interface.name if interface else 'any'}: the filter {bpf!r} cannot be used"
    try:
        from scapy.libs import winpcapy as libpcap
    except OSError as error:
        raise CaptureError(f"{where}: libpcap is missing; install libpcap (libpcap0.8)") from error
    handle = opened(libpcap, link_type, interface)
    program = libpcap.bpf_program()
    try:
        if libpcap.pcap_compile(handle, ctypes.byref(program), ctypes.create_string_buffer(bpf.encode()), 1, -1):
            raise CaptureError(f"{where}: {one_line(libpcap.pcap_geterr(handle))}")
        instructions = [program.bf_insns[place] for place in range(program.bf_len)]
        found = [(int(each.code), int(each.jt), int(each.jf), int(each.k) & 0xFFFFFFFF) for each in instructions]
        libpcap.pcap_freecode(ctypes.byref(program))
        return found
    finally:
        libpcap.pcap_close(handle)


def opened(libpcap: Any, link_type: int, interface: Interface | None) -> Any:
    """Return a libpcap handle to compile with: of an open interface if VLAN tags matter."""
    if interface is None or link_type == LINKTYPE_RAW:
        return libpcap.pcap_open_dead(DLT_RAW if link_type == LINKTYPE_RAW else link_type, FRAME_OCTETS_MAX)
    reason = ctypes.create_string_buffer(libpcap.PCAP_ERRBUF_SIZE)
    handle = libpcap.pcap_open_live(interface.name.encode(), FRAME_OCTETS_MAX, 0, 0, reason)
    if not handle:
        raise CaptureError(f"{interface.name}: cannot be captured: {one_line(reason.value)}")
    return handle
