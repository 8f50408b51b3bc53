"""The columns of a capture: one numpy array per header field, one row per segment.

Nothing here reads or decides anything. `capture.decode` fills these tables, `connections` reads them.
Addresses are two unsigned 64-bit words (the upper and the lower half of 128 bits in network order); an
IPv4 address is `(0, address)`, and `ip_version` distinguishes it from an IPv6 address of the same value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from handshake_inspect.arrays import Column
from handshake_inspect.narrow import Narrow, repeated
from handshake_inspect.plain import mutable

#: Value of `packet_type` where the link layer does not record the direction of a frame.
PACKET_TYPE_UNKNOWN = 255
#: Value of `packet_type` for a frame that this host sent (Linux: PACKET_OUTGOING).
PACKET_OUTGOING = 4


#: A column of zeros of any length, by broadcasting.
ZERO = np.zeros(1, np.uint8)

#: Bits of a frame's number: enough for 44 years of 100,000 a second. The other 16 bits are the number of its capture.
FRAME_BITS = 47


class Table:
    """Columns of equal length. Subclasses list their columns in `DTYPES`."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {}
    #: Narrow types in which `Growing` keeps columns as long as all values fit.
    NARROW: ClassVar[Mapping[str, DTypeLike]] = {}
    __slots__ = ("columns",)

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns: dict[str, Column] = {
            name: np.ascontiguousarray(columns[name], dtype) for name, dtype in self.DTYPES.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle for another process: columns in the narrowest type, without those of only zeros.

        The copy is read-only: all rows of a column of equal values share their memory.
        """
        sent = {name: Narrow(one) for name, one in self.columns.items() if one.any()}
        return _table_of, (type(self), len(self), sent)

    @classmethod
    def empty(cls, rows: int = 0) -> Self:
        """Make a table of `rows` rows, all zero."""
        return cls({name: np.zeros(rows, dtype) for name, dtype in cls.DTYPES.items()})

    @classmethod
    def holding(cls, columns: Mapping[str, Column]) -> Self:
        """Make a table of columns without conversion, narrow ones included."""
        table = cls.__new__(cls)
        table.columns = dict(columns)
        return table

    @classmethod
    def concatenate(cls, tables: Iterable[Self]) -> Self:
        """Concatenate the rows of tables, in the order given."""
        parts = list(tables)
        if not parts:
            return cls.empty()
        if len(parts) == 1:
            return parts[0]
        return cls({name: np.concatenate([part.columns[name] for part in parts]) for name in cls.DTYPES})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def copy(self) -> Self:
        """Return the same rows in new memory."""
        return type(self)({name: column.copy() for name, column in self.columns.items()})

    def take(self, rows: Column | slice) -> Self:
        """Return the table of `rows`: row numbers, a mask or a slice."""
        return type(self)({name: column[rows] for name, column in self.columns.items()})


def _table_of(kind: type[Table], rows: int, sent: Mapping[str, Narrow]) -> Table:
    return kind.holding(
        {
            name: sent[name].all(rows).astype(dtype, copy=False) if name in sent else repeated(0, dtype, rows)
            for name, dtype in kind.DTYPES.items()
        }
    )


def frame_numbers(capture: Column, frame: Column) -> Column:
    """Combine capture and frame of each row into one number, which sorts by capture."""
    return capture.astype(np.int64) << FRAME_BITS | frame


def grown(column: Column, count: int) -> Column:
    """Return a longer column, with room to grow; new values are 0."""
    longer = np.zeros(count + count // 4, column.dtype)
    longer[: len(column)] = column
    return longer


class Growing:
    """Rows of a table that grows in place.

    Large arrays grow by moving pages, not by copying, and a column of equal values so far takes no memory: most
    captures are one file, most frames have no tunnel, and with a million unanswered SYNs three columns of four are so.
    Columns begin in the narrow types of their table, until a value does not fit. `room` for expected rows takes no
    memory before they arrive, and avoids moving them.
    """

    def __init__(self, kind: type[Table], room: int = 0) -> None:
        self._dtypes, self._narrow, self._room = kind.DTYPES, kind.NARROW, room
        self._columns: dict[str, Column] = {}
        #: The first value of each column, which is the only value of columns not allocated.
        self._first: dict[str, Any] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, columns: Mapping[str, Column], count: int) -> None:
        """Add rows; a column that is not given is zero."""
        need = self._count + count
        for name, dtype in self._dtypes.items() if count else ():
            values = columns.get(name, ZERO)
            if name not in self._columns:
                first = self._first.setdefault(name, values[0])
                if values[-1] == first and (not values.strides[0] or (values == first).all()):
                    continue
                self._columns[name] = np.empty(max(self._count, self._room), self._narrow.get(name, dtype))
                self._taking(name, np.array([first]), self._count)[: self._count] = first
            self._taking(name, values, need)[self._count : need] = values
        self._count = need

    def _taking(self, name: str, values: Column, need: int) -> Column:
        """Return a column, made wide enough for these values and long enough for `need` rows."""
        column, dtype = self._columns[name], self._dtypes[name]
        if column.dtype != dtype and not _fits(values, column.dtype):
            wider = self._columns[name] = np.empty(len(column), dtype)
            wider[: self._count] = column[: self._count]
            column = wider
        if need > len(column):
            # Safe without the check: no view of a column outlives the call that made it.
            column.resize(need + need // 16, refcheck=False)
        return column

    def column(self, name: str) -> Column:
        """Return one column as a read-only view, which the next `append` makes invalid."""
        if name in self._columns:
            return self._columns[name][: self._count]
        return repeated(self._first.get(name, 0), self._dtypes[name], self._count)

    def finish(self) -> dict[str, Column]:
        """Return all columns without their spare room, and give up ownership of them."""
        for column in self._columns.values():
            column.resize(self._count, refcheck=False)
        columns = {name: self.column(name) for name in self._dtypes}
        self._columns, self._first, self._count = {}, {}, 0
        return columns


def _fits(values: Column, dtype: np.dtype[Any]) -> bool:
    """Do all of these whole numbers fit in this type?"""
    limits = np.iinfo(dtype)
    return bool(values.min(initial=0) >= limits.min and values.max(initial=0) <= limits.max)


class SegmentTable(Table):
    """TCP segments, one row each, in the order in which they were captured."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        "time_ns": np.int64,  # since the Unix epoch
        "frame": np.int64,  # number of the record in its file, from 1: a day of 50,000 a second reaches 2**32
        "capture": np.uint16,  # which file of the run, from 0
        "ip_version": np.uint8,  # 4 or 6
        "src_hi": np.uint64,  # source address, upper 64 bits (0 for IPv4)
        "src_lo": np.uint64,  # source address, lower 64 bits
        "dst_hi": np.uint64,
        "dst_lo": np.uint64,
        "src_port": np.uint16,
        "dst_port": np.uint16,
        "tunnel": np.uint32,  # `Names.tunnel` number: part of the connection's key
        "encapsulation": np.uint32,  # `Names.encapsulation` number, for display
        "seq": np.uint32,  # SEG.SEQ
        "ack": np.uint32,  # SEG.ACK, whatever the ACK bit says
        "flags": np.uint16,  # control bits as in the header's octets 12-13 & 0x0fff: FIN 1 ... CWR 128, AE 256
        "window": np.uint16,  # SEG.WND as in the header, not scaled
        "payload_octets": np.uint32,  # by the IP length, never by what was captured
        "ip_id": np.uint16,  # IPv4 identification; 0 for IPv6
        "ttl": np.uint8,  # time to live, hop limit
        "packet_type": np.uint8,  # Linux packet type (0 to us ... 4 outgoing); 255 = not recorded by the link layer
        "options": np.uint32,  # `Names.options` number of the option list of a SYN, or with SACK; 0 for other segments
        "timestamp_value": np.uint32,  # TSval, 0 without the option
        "timestamp_echo": np.uint32,  # TSecr, 0 without the option
        "has_timestamps": np.uint8,  # 1 if the timestamps option (RFC 7323) is there
        "clock": np.uint16,  # how often the clock of the capture had jumped back before (`capture.order`)
    }


class DatagramTable(Table):
    """UDP datagrams, one row each, in the order in which they were captured."""

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        **{
            name: SegmentTable.DTYPES[name]
            for name in (
                "time_ns", "frame", "capture", "ip_version", "src_hi", "src_lo", "dst_hi", "dst_lo",
                "src_port", "dst_port", "tunnel", "encapsulation", "payload_octets", "ip_id", "packet_type",
            )
        }
    }  # fmt: skip


class IcmpErrorTable(Table):
    """ICMP and ICMPv6 errors that quote a TCP segment or a UDP datagram; the key columns are those of the quote.

    The error is of the same IP version as what it quotes.
    """

    DTYPES: ClassVar[Mapping[str, DTypeLike]] = {
        **{
            name: SegmentTable.DTYPES[name]
            for name in (
                "time_ns", "frame", "capture", "ip_version", "src_hi", "src_lo", "dst_hi", "dst_lo",
                "src_port", "dst_port", "tunnel", "encapsulation", "ip_id", "packet_type",
            )
        },
        "from_hi": np.uint64,  # address of the sender of the error
        "from_lo": np.uint64,
        "icmp_type": np.uint8,
        "icmp_code": np.uint8,
        "mtu": np.uint32,  # of the next hop, octets; 0: the message has none
        "protocol": np.uint8,  # of the quoted packet: 6 or 17
        "quoted_ip_id": np.uint16,  # its IPv4 identification; 0 for IPv6
        "has_seq": np.uint8,  # 1 if the quote reaches the sequence number of TCP
        "seq": np.uint32,  # of the quoted TCP segment; 0 without `has_seq`
        "quoted_flags": np.int16,  # control bits of the quoted TCP segment; -1 if the quote ends before them
    }  # fmt: skip


V = TypeVar("V", str, bytes)


class Numbered(Generic[V]):
    """Distinct values, numbered in order of first appearance; 0 is always the empty value."""

    def __init__(self, nothing: V) -> None:
        self.values: list[V] = [nothing]
        self._numbers: dict[V, int] = {nothing: 0}

    def number(self, value: V) -> int:
        """Return the number of `value`; a new value gets the next number."""
        known = self._numbers.setdefault(value, len(self.values))
        if known == len(self.values):
            self.values.append(value)
        return known

    def only(self, numbers: Column) -> tuple[Self, Column]:
        """Return the values with these numbers, renumbered; and the new number of each old one, 0 for removed ones."""
        kept, less = [0, *(number for number in numbers.tolist() if number)], type(self)(self.values[0])
        for number in kept:
            less.number(self.values[number])
        moved = np.zeros(len(self.values), np.int64)
        moved[kept] = np.arange(len(kept))
        return less, moved

    def __getitem__(self, number: int) -> V:
        return self.values[number]

    def __contains__(self, value: V) -> bool:
        return value in self._numbers

    def __len__(self) -> int:
        return len(self.values)


#: From this many option lists on, SACK blocks are left out: there may be as many distinct ones as segments.
MOST_WITH_BLOCKS = 1 << 13


class OptionLists(Numbered[bytes]):
    """Option lists, numbered likewise; those with SACK keep their blocks at first, later not.

    `most`: the count of lists from which on blocks are left out; None: never.
    """

    def __init__(self, nothing: bytes = b"", most: int | None = MOST_WITH_BLOCKS) -> None:
        super().__init__(nothing)
        self.most = most

    @property
    def leave_out_blocks(self) -> bool:
        """Are new lists numbered with zeros in place of SACK blocks?"""
        return self.most is not None and len(self) >= self.most


#: Most encapsulations with a number of their own (a capture may name a new tunnel in every frame); and the name that
#: all others share.
MOST_NAMES, ONE_MORE = 1 << 18, "…"


def bounded_number(names: Numbered[str], name: str) -> int:
    """Return the number of a name; new names beyond MOST_NAMES share one."""
    return names.number(name if len(names) < MOST_NAMES or name in names else ONE_MORE)


@mutable
class Names:
    """The values of the numbers in the columns `encapsulation`, `tunnel` and `options`, for a whole run.

    In a capture that does not end `options` is replaced now and then: holders of its numbers keep a copy.
    """

    #: Headers around the IP packet, outermost first, joined by spaces: "vlan:42 vxlan:7".
    encapsulation: Numbered[str] = field(default_factory=lambda: Numbered(""))
    #: The part of it that belongs to the key of a connection: tunnel types and VNI, never VLAN, label or TEID.
    tunnel: Numbered[str] = field(default_factory=lambda: Numbered(""))
    #: Option lists of SYNs, and of segments that carry SACK, as in the header; the 8 octets of a timestamps option are
    #: zeroed (they have columns).
    options: OptionLists = field(default_factory=OptionLists)

    def for_steps(self) -> Names:
        """Return the same with separate option lists that keep all SACK blocks: for segments to be described."""
        return replace(self, options=OptionLists(most=None))


@mutable
class Block:
    """The decoded rows of one block of records."""

    segments: SegmentTable
    datagrams: DatagramTable = field(default_factory=DatagramTable.empty)
    icmp_errors: IcmpErrorTable = field(default_factory=IcmpErrorTable.empty)
    #: Counts of frames without a row, by kind: "ARP", "IPv4 fragment", "truncated TCP header", ...
    unread: Counter[str] = field(default_factory=Counter)

    def of_port(self, port: int) -> Block:
        """Return only the rows of this port, including ICMP errors that quote one of them."""

        def chosen(table: SegmentTable | DatagramTable | IcmpErrorTable) -> Column:
            ours: Column = (table["src_port"] == port) | (table["dst_port"] == port)
            return ours

        return replace(
            self,
            segments=self.segments.take(chosen(self.segments)),
            datagrams=self.datagrams.take(chosen(self.datagrams)),
            icmp_errors=self.icmp_errors.take(chosen(self.icmp_errors)),
        )

    def until(self, frame: int) -> Block:
        """Return the rows of the frames up to and including this one."""
        return replace(
            self,
            segments=self.segments.take(self.segments["frame"] <= frame),
            datagrams=self.datagrams.take(self.datagrams["frame"] <= frame),
            icmp_errors=self.icmp_errors.take(self.icmp_errors["frame"] <= frame),
        )

    def frames(self) -> Column:
        """Return the frame number of every row; a frame with several rows is repeated."""
        return np.concatenate([table["frame"] for table in (self.segments, self.datagrams, self.icmp_errors)])
