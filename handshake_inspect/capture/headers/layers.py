"""One slice of a block of records during decoding: its octets in columns, headers still to be read, results.

In: `Records`. The readers in `link`, `wlan`, `ip`, `gre` and the other modules each read one kind of header for all
frames of the slice that have it next, and return which header follows: a `Layer` in, `Layer`s out, until `decode` finds
transports. Frames without one are counted by kind. A layer is read once for many frames, so a tunnel costs no more than
a VLAN tag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from enum import Enum, auto
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.capture.source import gathered
from handshake_inspect.plain import mutable
from handshake_inspect.table import Names, Numbered, bounded_number

Matrix = NDArray[np.uint8]
#: A number for all rows, or one per row.
PerRow = int | Rows

#: Octets of a transport header that are copied to be read in columns: TCP's, and timestamps in their usual place.
TRANSPORT_OCTETS = 32
#: Distinct values that are searched one by one before all of them are counted.
FEW_VALUES = 8


class Header(Enum):
    """The kinds of header that can come next in a frame."""

    #: The frame's own header, by its link type.
    LINK = auto()
    ETHERNET = auto()
    LLC = auto()
    VLAN = auto()
    SHIM = auto()
    MACSEC = auto()
    PBB = auto()
    FABRICPATH = auto()
    TRILL = auto()
    NSH = auto()
    MPLS = auto()
    BELOW_MPLS = auto()
    PPPOE = auto()
    PPP = auto()
    HDLC = auto()
    FRAME_RELAY = auto()
    RADIOTAP = auto()
    PRISM = auto()
    AVS = auto()
    WLAN = auto()
    AMSDU = auto()
    IP = auto()
    IPV4 = auto()
    IPV6 = auto()
    GRE = auto()
    ERSPAN = auto()
    WCCP = auto()
    ETHERIP = auto()
    L2TP_IP = auto()
    TZSP = auto()
    TCP = auto()
    UDP = auto()
    ICMP = auto()


@mutable
class Layer:
    """Frames of a slice that have one kind of header next."""

    header: Header
    rows: Rows
    #: Offset of the header in each frame.
    at: PerRow
    #: Where its content ends in the frame by the lengths in outer headers, captured or not; None: with the frame.
    end: Rows | None = None
    #: `Names.encapsulation` and `Names.tunnel` numbers of the headers around it.
    encapsulation: PerRow = 0
    tunnel: PerRow = 0
    #: Further information for the reader: the link type (`link_types.link`), the kind of tag (`link.SHIMS`), padding.
    note: int = 0

    def take(self, mask: Mask) -> Self:
        """Return the frames that `mask` selects; the same object if it selects all."""
        return self if mask.all() else self.only(np.flatnonzero(mask))

    def only(self, chosen: Rows) -> Self:
        """Return some of the frames, by index."""
        return replace(
            self,
            rows=self.rows.take(chosen),
            at=of(self.at, chosen),
            end=None if self.end is None else self.end.take(chosen),
            encapsulation=of(self.encapsulation, chosen),
            tunnel=of(self.tunnel, chosen),
        )

    def next(self, header: Header, skip: PerRow, *, end: Rows | None = None, note: int = 0) -> Layer:
        """Return the header `skip` octets further on in the same frames. It ends no later than a header around it."""
        ends = [each for each in (end, self.end) if each is not None]
        nearest = np.minimum(*ends) if len(ends) == 2 else ends[0] if ends else None
        return Layer(header, self.rows, self.at + skip, nearest, self.encapsulation, self.tunnel, note)

    @staticmethod
    def merged(layers: list[Layer]) -> Layer:
        """Return one layer made of several with the same header and note."""
        rows = np.concatenate([layer.rows for layer in layers])

        def column(name: str) -> PerRow:
            values: list[PerRow] = [getattr(layer, name) for layer in layers]
            if isinstance(values[0], int) and all(isinstance(each, int) and each == values[0] for each in values):
                return values[0]
            of_rows = zip(values, layers, strict=True)
            return np.concatenate([np.broadcast_to(value, layer.rows.shape) for value, layer in of_rows])

        ended = layers[0].end is not None
        end = np.concatenate([layer.end for layer in layers if layer.end is not None]) if ended else None
        return Layer(
            layers[0].header, rows, column("at"), end, column("encapsulation"), column("tunnel"), layers[0].note
        )


L = TypeVar("L", bound=Layer)
#: Reads one kind of header in some frames, and yields the layers that follow.
Reader = Callable[["Slice", Layer], Iterator[Layer]]
#: A mask of the rows of a layer of UDP payloads that are tunnels, and the layers that follow in those.
Entered = tuple[Mask, list[Layer]]


def of(value: PerRow, chosen: Mask | Rows) -> PerRow:
    """Return the values for some of the rows, given by a mask or by index."""
    return value if isinstance(value, int) else value[chosen]


@mutable
class Slice:
    """The octets of a slice, and the results of reading its headers."""

    #: The block's buffer, with slack after the last frame.
    octets: NDArray[np.uint8]
    #: For each frame: where it begins in `octets`, its captured length, and its length on the wire.
    offset: Rows
    captured: Rows
    original: Rows
    names: Names
    #: The indices of all rows.
    everything: Rows = field(init=False)
    #: Linux packet type of every frame of the slice; None: no frame has one.
    packet_type: NDArray[np.uint8] | None = None
    #: Rows to be read by the other dissector (Scapy).
    for_scapy: list[Rows] = field(default_factory=list)
    #: IP fragments found by `ip`.
    fragments: list[FragmentRows] = field(default_factory=list)
    #: Packets with a compressed payload found by `ip`.
    compressed: list[CompressedRows] = field(default_factory=list)
    #: Frames without a row, counted by kind.
    unread: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.everything = np.arange(len(self.offset))
        # An overlapping view: the four octets that begin at each place, by index.
        self._longs = np.ndarray((len(self.octets) - 3,), ">u4", self.octets, 0, (1,))

    # --- octets -----------------------------------------------------------------------------------------------

    def octet(self, rows: Rows, at: PerRow) -> Rows:
        """Return the octet at `at` of each frame; the caller checks that it was captured."""
        return self.octets.take(self._places(rows, at)).astype(np.int64)

    def word(self, rows: Rows, at: PerRow) -> Rows:
        """Return the two octets at `at` of each frame, in network order."""
        return self.ethertype(rows, at).astype(np.int64)

    def ethertype(self, rows: Rows, at: PerRow) -> NDArray[np.uint16]:
        """Return the same in 16 bits. Taking one octet after the other costs half as much as taking two at once."""
        places = self._places(rows, at)
        number: NDArray[np.uint16] = self.octets.take(places).astype(np.uint16)
        number <<= 8
        number |= self.octets.take(places + 1)
        return number

    def long(self, rows: Rows, at: PerRow) -> Rows:
        """Return the four octets at `at` of each frame, in network order."""
        return self._longs[self._places(rows, at)].astype(np.int64)

    def gather(self, rows: Rows, at: PerRow, octets: int) -> Matrix:
        """Return this many octets from `at` of each frame; after the end of a short frame the next one's follow."""
        return gathered(self.octets, self._places(rows, at), octets)

    def _places(self, rows: Rows, at: PerRow) -> Rows:
        return self._of(self.offset, rows) + at

    def _of(self, column: Rows, rows: Rows) -> Rows:
        return column if rows is self.everything else column.take(rows)

    def little(self, rows: Rows, at: PerRow, octets: int) -> Rows:
        """Return the little-endian number of this many octets at `at` of each frame."""
        number = np.zeros(len(rows), np.int64)
        for place in range(octets):
            number |= self.octet(rows, at + place) << 8 * place
        return number

    # --- lengths ----------------------------------------------------------------------------------------------

    def there(self, layer: Layer) -> Rows:
        """Return the octets of each layer that were captured, limited by its frame and by the headers around it."""
        captured = self._of(self.captured, layer.rows)
        there: Rows = np.subtract(captured if layer.end is None else np.minimum(captured, layer.end), layer.at)
        return there

    def claimed(self, layer: Layer) -> Rows:
        """Return the octets of each layer, captured or not."""
        end = self._of(self.original, layer.rows) if layer.end is None else layer.end
        claimed: Rows = np.subtract(end, layer.at)
        return claimed

    def enough(self, layer: Layer, octets: PerRow, otherwise: str) -> Layer:
        """Keep the frames with at least `octets` captured from the layer's beginning; count the others."""
        return layer.take(self.expect(self.there(layer) >= octets, otherwise))

    def expect(self, good: Mask, otherwise: str) -> Mask:
        """Count the frames that are not good under `otherwise`, and return `good`."""
        if not good.all():
            self.unread[otherwise] += len(good) - int(np.count_nonzero(good))
        return good

    # --- what follows -----------------------------------------------------------------------------------------

    def following(
        self,
        layer: Layer,
        numbers: NDArray[Any],
        skip: PerRow,
        headers: Mapping[int, Header],
        name: Callable[[int], str],
    ) -> Iterator[Layer]:
        """Yield the layers after a header that numbers its payload; numbers not in `headers` are counted by `name`."""
        for number in distinct(numbers):
            chosen = numbers == number
            if number in headers:
                some = layer.take(chosen)
                header = headers[number]
                note = number if header is Header.SHIM else 0
                yield some.next(header, of(skip, chosen), note=note)
            else:
                self.unread[name(number)] += int(np.count_nonzero(chosen))

    def around(self, layer: L, spell: Callable[[int], str], values: PerRow = 0, *, key: bool | str = False) -> L:
        """Return the layer with one more word in its encapsulation, spelled from `values`.

        `key`: True if the word distinguishes connections; or the part of it that does.
        """
        if not len(layer.rows):
            return layer
        layer = replace(layer, encapsulation=_extended(self.names.encapsulation, layer.encapsulation, spell, values))
        if key:
            spelled, told = (spell, values) if key is True else (lambda _: str(key), 0)
            layer = replace(layer, tunnel=_extended(self.names.tunnel, layer.tunnel, spelled, told))
        return layer


@mutable
class FragmentRows:
    """IP fragments of a slice: their IP headers, and the fields of each for reassembly."""

    layer: Layer
    version: int
    #: Where the fragment's payload begins in the frame, and its length by the IP header.
    data_at: Rows
    length: Rows
    #: Offset of that payload in the whole packet, and whether more fragments follow.
    position: Rows
    more: Mask
    #: Protocol and identification of the whole packet.
    protocol: Rows
    identification: Rows


@mutable
class CompressedRows:
    """IP packets of a slice with IPComp (RFC 3173)."""

    layer: Layer
    version: int
    #: Where the IPComp header begins in the frame, and where the captured part of the packet ends.
    at: Rows
    end: Rows


def distinct(numbers: NDArray[Any]) -> list[int]:
    """Return the distinct values of numbers below 2**16: most slices have one to three."""
    found: list[int] = []
    unseen = np.ones(len(numbers), np.bool_)
    while len(numbers) and unseen[at := unseen.argmax()]:
        if len(found) == FEW_VALUES:
            counted: list[int] = np.flatnonzero(np.bincount(numbers)).tolist()
            return counted
        found.append(int(numbers[at]))
        unseen &= numbers != numbers[at]
    return found


def by_version(part: Slice, layer: Layer, otherwise: str) -> Iterator[Layer]:
    """Yield IPv4 and IPv6 headers, distinguished by their first four bits."""
    layer = part.enough(layer, 1, otherwise)
    if len(layer.rows):
        version = part.octet(layer.rows, layer.at) >> 4
        headers = {4: Header.IPV4, 6: Header.IPV6}
        yield from part.following(layer, version, 0, headers, lambda _: otherwise)


def _extended(names: Numbered[str], before: PerRow, spell: Callable[[int], str], values: PerRow) -> PerRow:
    """Return the numbers of the names `before`, each extended by one word."""
    if isinstance(before, int) and isinstance(values, np.ndarray) and len(values) and (values == values[0]).all():
        values = int(values[0])
    if isinstance(before, int) and isinstance(values, int):
        return _number(names, before, spell(values))
    pairs = np.asarray(before, np.int64) << 32 | np.asarray(values, np.int64)
    different, which = np.unique(pairs, return_inverse=True)
    numbers = [_number(names, pair >> 32, spell(pair & 0xFFFFFFFF)) for pair in different.tolist()]
    extended: Rows = np.array(numbers, np.int64)[which.reshape(-1)]
    return extended


def _number(names: Numbered[str], before: int, word: str) -> int:
    return bounded_number(names, f"{names[before]} {word}".lstrip())


def field_of(header: Matrix, dtype: str, at: int) -> NDArray[Any]:
    """Return the header field at column `at` of each row, without a copy."""
    field: NDArray[Any] = header[:, at : at + np.dtype(dtype).itemsize].view(dtype)[:, 0]
    return field


def rows_of(header: Matrix, chosen: Rows) -> Matrix:
    """Return some of the rows of octets, by index."""
    return gathered(header.reshape(-1), chosen * header.shape[1], header.shape[1])


def together(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield layers, those of one header and note merged: reading more frames at once costs less for each."""
    alike: dict[tuple[Header, int, bool], list[Layer]] = {}
    for layer in layers:
        if type(layer) is not Layer:  # a transport: nothing follows it
            yield layer
        elif len(layer.rows):
            alike.setdefault((layer.header, layer.note, layer.end is None), []).append(layer)
    for some in alike.values():
        yield some[0] if len(some) == 1 else Layer.merged(some)
