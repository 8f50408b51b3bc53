"""Decodes the usual packets of both IP versions together: whole TCP segments after an IP header without options.

In: frames with IP next. Out: `Packets` of TCP, and a mask of the frames with them; all others are left to `ip`, which
would give the same result for these. `ip` copies the packets of each version separately, and its results are merged row
by row: decoding a capture with a tenth of IPv6 takes twice as long without this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.headers.ip import FIELDS, IPV4_OCTETS, IPV6_OCTETS, TCP, Packets
from handshake_inspect.capture.headers.layers import (
    TRANSPORT_OCTETS,
    Header,
    Layer,
    Matrix,
    PerRow,
    Slice,
    field_of,
    of,
)
from handshake_inspect.table import SegmentTable

#: The first octet of an IPv4 header without options, and the mask of the word at offset 6 (no fragment; TCP).
BARE_IPV4, ASKED_OF_IPV4 = 0x45, 0x3FFF00FF


def ordinary_tcp(part: Slice, layer: Layer, is_ipv6: Mask) -> tuple[Packets, Mask] | None:
    """Return the ordinary packets among these, and their mask; None if these are less than half of them.

    `is_ipv6`: whether the previous header announces IPv6; the others are IPv4.
    """
    there = part.there(layer)
    if there.min() < 0:
        return None
    octets = part.gather(layer.rows, layer.at, IPV4_OCTETS + TRANSPORT_OCTETS)
    good = (octets[:, 0] == BARE_IPV4) & (field_of(octets, ">u4", 6).astype(np.uint32) & ASKED_OF_IPV4 == TCP)
    payload = field_of(octets, ">u2", 2).astype(np.int64) - IPV4_OCTETS
    header_octets: PerRow = IPV4_OCTETS
    version: PerRow = 4
    v6, headers = np.flatnonzero(is_ipv6), octets
    if len(v6):
        headers = part.gather(layer.rows.take(v6), of(layer.at, v6), IPV6_OCTETS + TRANSPORT_OCTETS)
        octets[v6, IPV4_OCTETS:] = headers[:, IPV6_OCTETS:]
        payload[v6] = field_of(headers, ">u2", 4)
        good[v6] = (headers[:, 0] >> 4 == 6) & (headers[:, 6] == TCP) & (payload[v6] > 0)
        header_octets, version = np.full(len(good), IPV4_OCTETS), np.full(len(good), 4)
        header_octets[v6], version[v6] = IPV6_OCTETS, 6
    there -= header_octets
    good &= (payload >= 0) & (there >= 0)
    if 2 * np.count_nonzero(good) < len(good):
        return None
    packets = Packets(
        Header.TCP, layer.rows, layer.at + header_octets, layer.end, layer.encapsulation, layer.tunnel, 0,
        version, _fields(octets, v6, headers), octets, IPV4_OCTETS, payload, np.minimum(there, payload),
    )  # fmt: skip
    return packets.take(good), good


def _fields(octets: Matrix, v6: Rows, headers: Matrix) -> dict[str, NDArray[Any]]:
    """Return the columns from the headers of IPv4 in `octets`; for the rows `v6` from those of IPv6 in `headers`."""
    if not len(v6):
        return {name: field_of(octets, dtype, at) for name, (dtype, at) in FIELDS[4].items()}
    fields = {}
    for name in FIELDS[4] | FIELDS[6]:
        dtype = SegmentTable.DTYPES[name]
        column = field_of(octets, *FIELDS[4][name]).astype(dtype) if name in FIELDS[4] else np.zeros(len(octets), dtype)
        column[v6] = field_of(headers, *FIELDS[6][name]) if name in FIELDS[6] else 0
        fields[name] = column
    return fields
