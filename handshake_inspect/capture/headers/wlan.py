"""IEEE 802.11 frames in columns, and the headers that monitoring puts before them.

In and out: `Layer`s. IEEE 802.11 §9.2.3 (general frame format), §9.2.4.8.3 (mesh), §9.3.2.2 (A-MSDU); radiotap.org; the
headers of Prism and AVS drivers. Only data frames that are whole and not encrypted are read; the others are counted by
kind.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.headers.layers import Header, Layer, PerRow, Reader, Slice

#: Frame control: two bits of type, of which 2 is data; subtypes with bit 4 have no data, those with bit 8 a QoS field.
OTHER_KINDS = {0: "management", 1: "control", 3: "extension"}
NO_DATA, QOS = 0x40, 0x80
TO_DS, FROM_DS, MORE_FRAGMENTS, PROTECTED, ORDER = 0x01, 0x02, 0x04, 0x40, 0x80
#: Bits of the octets of the QoS field: the frame is an aggregate of several; in a mesh, it has a mesh control field.
AGGREGATE, MESH = 0x80, 0x01
#: Radiotap: field 0 is a time of 8 octets, field 1 the flags, of which 0x20 means that the frame's header is padded.
RADIOTAP_TIME, RADIOTAP_FLAGS, PADDED = 1, 2, 0x20
#: The magic of AVS headers, at the offset of the message number in Prism headers.
AVS_MAGIC = 0x80211001
#: More words of field bits, and more frames in an aggregate, are treated as damage.
MOST_WORDS, MOST_SUBFRAMES = 16, 256


def radiotap(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read radiotap: version, pad, length, words of field bits (all little-endian), the fields; then the frame."""
    layer = part.enough(layer, 8, "truncated radiotap header")
    layer, length = _past(part, layer, part.little(layer.rows, layer.at + 2, 2), "radiotap header")
    if len(layer.rows):
        padded = _is_padded(part, layer, length)
        for mask, note in ((~padded, 0), (padded, PADDED)):
            if mask.any():
                yield layer.take(mask).next(Header.WLAN, length[mask], note=note)


def _is_padded(part: Slice, layer: Layer, length: Rows) -> Mask:
    """Mark the frames whose 802.11 header is padded to four octets."""
    place, going = np.full(len(layer.rows), 4), np.ones(len(layer.rows), np.bool_)
    for _ in range(MOST_WORDS):
        last = part.octet(layer.rows, layer.at + np.minimum(place + 3, length - 1))
        place = place + 4 * going
        going = going & (last & 0x80 != 0)  # one more word of field bits follows
        if not going.any():
            break
    fields = part.octet(layer.rows, layer.at + 4)
    place = np.where(fields & RADIOTAP_TIME != 0, (place + 7 & ~7) + 8, place)
    there = (fields & RADIOTAP_FLAGS != 0) & (place < length)
    flags = part.octet(layer.rows, layer.at + np.where(there, place, 0))
    padded: Mask = there & (flags & PADDED != 0)
    return padded


def prism(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read Prism: message number and length, 4 octets each, in host byte order; some drivers write AVS headers here."""
    layer = part.enough(layer, 8, "truncated Prism header")
    is_avs = part.long(layer.rows, layer.at) == AVS_MAGIC
    if is_avs.any():
        yield layer.take(is_avs).next(Header.AVS, 0)
    layer = layer.take(~is_avs)
    little = part.little(layer.rows, layer.at + 4, 4)
    length = np.where(little > 0xFFFF, part.long(layer.rows, layer.at + 4), little)
    layer, length = _past(part, layer, length, "Prism header")
    yield layer.next(Header.WLAN, length)


def avs(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read AVS: magic and length, four octets each."""
    layer = part.enough(layer, 8, "truncated AVS header")
    layer, length = _past(part, layer, part.long(layer.rows, layer.at + 4), "AVS header")
    yield layer.next(Header.WLAN, length)


def _past(part: Slice, layer: Layer, length: Rows, name: str) -> tuple[Layer, Rows]:
    """Keep the frames whose header of `length` octets, at least eight, was captured."""
    good = part.expect((length >= 8) & (length <= part.there(layer)), f"truncated {name}")
    return layer.take(good), length[good]


def frame(part: Slice, layer: Layer) -> Iterator[Layer]:
    """Read an 802.11 frame: its header has three or four addresses, then optional QoS and HT control."""
    layer = _readable(part, part.enough(layer, 2, "truncated 802.11 header"))
    kind, flags = part.octet(layer.rows, layer.at), part.octet(layer.rows, layer.at + 1)
    four = flags & (TO_DS | FROM_DS) == TO_DS | FROM_DS
    qos = kind & QOS != 0
    qos_at = np.where(four, 30, 24)
    skip = qos_at + np.where(qos, 2, 0) + np.where(qos & (flags & ORDER != 0), 4, 0)
    if layer.note == PADDED:
        skip = skip + 3 & ~3
    enough = part.expect(part.there(layer) >= skip, "truncated 802.11 header")
    layer, qos, qos_at, skip = layer.take(enough), qos[enough], qos_at[enough], skip[enough]
    control = part.word(layer.rows, layer.at + np.where(qos, qos_at, 0))
    several = qos & (control >> 8 & AGGREGATE != 0)
    in_mesh = qos & ~several & (control & MESH != 0)
    if in_mesh.any():
        skip = skip + np.where(in_mesh, _mesh_control(part, layer, skip), 0)
    for mask, header in ((~several, Header.LLC), (several, Header.AMSDU)):
        if mask.any():
            yield layer.take(mask).next(header, skip[mask])


def _mesh_control(part: Slice, layer: Layer, at: Rows) -> Rows:
    """Return the octets of the mesh control field at `at` of each frame: six, and six for each further address.

    0 if there is none: outside of meshes its bit of the QoS field has another meaning, and LLC begins there.
    """
    from_ds = part.octet(layer.rows, layer.at + 1) & FROM_DS != 0
    known = from_ds & (part.there(layer) > at)
    addresses = part.octet(layer.rows, layer.at + np.where(known, at, 0))
    return np.where(known & (addresses <= 2), 6 + 6 * addresses, 0)


def _readable(part: Slice, layer: Layer) -> Layer:
    """Keep the data frames that are whole and not encrypted."""
    kind = part.octet(layer.rows, layer.at)
    for number, name in OTHER_KINDS.items():
        layer = layer.take(part.expect(kind >> 2 & 3 != number, f"802.11 {name} frame"))
        kind = part.octet(layer.rows, layer.at)
    layer = layer.take(part.expect(kind & NO_DATA == 0, "802.11 frame without data"))
    protected = part.octet(layer.rows, layer.at + 1) & PROTECTED != 0
    layer = layer.take(part.expect(~protected, "802.11 protected frame"))
    layer = part.enough(layer, 24, "truncated 802.11 header")
    more, number_of_piece = part.octet(layer.rows, layer.at + 1) & MORE_FRAGMENTS, part.octet(layer.rows, layer.at + 22)
    return layer.take(part.expect((more == 0) & (number_of_piece & 0xF == 0), "802.11 fragment"))


def aggregate(part: Slice, layer: Layer, most: int) -> Iterator[Layer]:
    """Read A-MSDUs: frames of two addresses, a length and that many octets, each but the last padded to four.

    `most`: how many frames are read of each A-MSDU.
    """
    for _ in range(most):
        layer = part.enough(layer, 14, "truncated A-MSDU")
        if not len(layer.rows):
            return
        octets = part.word(layer.rows, layer.at + 12)
        end = np.minimum(layer.at + 14 + octets, layer.at + np.maximum(part.claimed(layer), 0))
        yield layer.next(Header.LLC, 14, end=end)
        skip: PerRow = 14 + octets + 3 & ~3
        going = part.there(layer) >= skip + 14
        layer = layer.next(Header.AMSDU, skip).take(going)


READERS: dict[Header, Reader] = {
    Header.RADIOTAP: radiotap, Header.PRISM: prism, Header.AVS: avs, Header.WLAN: frame,
}  # fmt: skip
