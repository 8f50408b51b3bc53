"""UDP: who asked, who answered, what came back by ICMP. There is no handshake here, and no state.

In: rows of `DatagramTable` and `IcmpErrorTable`. Out: one `Exchange` per pair of sockets, in order of first datagram;
and, of one that is to be drawn, its datagrams and the ICMP errors about them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from operator import eq
from typing import overload

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.records import CaptureError
from handshake_inspect.connections.connection import End, Endpoint, Frame, Pair
from handshake_inspect.connections.conversations import Conversations
from handshake_inspect.connections.quotes import copies_of
from handshake_inspect.datagram_runs import DatagramCounts, KeptDatagrams, misjudged, told
from handshake_inspect.datagrams import UDP
from handshake_inspect.pairs import KeyTable, address, keys_of
from handshake_inspect.plain import plain
from handshake_inspect.quantities import counted
from handshake_inspect.table import DatagramTable, IcmpErrorTable, Names
from handshake_inspect.tcp.icmp import words


@plain
class Datagram:
    """One datagram of an exchange."""

    frame: Frame
    time_ns: int
    sender: End
    payload_octets: int


@plain
class DatagramError:
    """One ICMP error that quotes a datagram of an exchange (RFC 1122 §4.1.3.3: it is passed to the program)."""

    frame: Frame
    time_ns: int
    #: Address of who sent it: a router on the way, or the other end.
    source: str
    #: What it says: "port unreachable".
    message: str
    #: Whose datagram it quotes; to that end it goes.
    quotes: End


@plain
class Exchange:
    """All datagrams between one pair of UDP sockets."""

    #: From 0 by first datagram over the whole run.
    number: int
    capture: str
    ip_version: int
    encapsulation: tuple[str, ...]
    #: The sender of the first datagram, and the end it was sent to.
    originator: Endpoint
    responder: Endpoint
    first_frame: Frame
    last_frame: Frame
    first_ns: int
    last_ns: int
    datagrams: Pair[int]
    octets: Pair[int]
    #: Copies that were collapsed, as captures of loopback have them; not in `datagrams`.
    duplicates: int
    #: First datagram to the first one back; None if nothing came back.
    first_answer_ns: int | None
    #: ICMP errors that quote one of its datagrams: (frame, "port unreachable"), in order.
    errors: tuple[tuple[Frame, str], ...]

    @property
    def conn_state(self) -> str:
        """Zeek's word: SF if both ends sent something, else S0 (base/protocols/conn; the first sender is "orig")."""
        return "SF" if self.datagrams.responder else "S0"

    @property
    def history(self) -> str:
        """Zeek's history: one letter for each end that sent something (UDPAnalyzer::DeliverPacket)."""
        return "Dd" if self.datagrams.responder else "D"


#: An exchange, the rows of its datagrams, and the rows of the errors about them.
Found = tuple[Exchange, NDArray[np.int64], NDArray[np.int64]]


def find_exchanges(
    datagrams: KeptDatagrams,
    errors: IcmpErrorTable,
    names: Names,
    captures: list[str],
    lanes: NDArray[np.int64] | None = None,
) -> list[Found]:
    """Group datagrams by pair of sockets, in order of first datagram; copies are left out.

    `lanes`: a number for each capture, equal for those that follow each other; None if that is not known.
    """
    conversations = Conversations()
    keys, from_higher = keys_of(datagrams)
    numbers = conversations.number(keys)
    rows_quoting = np.flatnonzero(errors["protocol"] == UDP)
    quoted = errors.take(rows_quoting)
    known = len(conversations)
    said = told(datagrams, numbers, from_higher, conversations.loopback, lanes)
    error_keys, error_from_higher = keys_of(quoted)
    error_numbers = conversations.number(error_keys)
    quoting = quoted.columns | {"conversation": error_numbers, "from_higher": error_from_higher}
    kept = np.delete(np.arange(len(quoted)), copies_of(quoting, conversations.loopback, lanes))
    quoted, error_numbers, rows_quoting = quoted.take(kept), error_numbers[kept], rows_quoting[kept]
    groups = zip(_groups(numbers, known), _groups(error_numbers, known), strict=True)
    first = {int(rows[0]): (rows, errors_of) for rows, errors_of in groups}
    by_frame = sorted(first, key=lambda row: (int(datagrams["capture"][row]), int(datagrams["frame"][row])))
    found: list[Found] = []
    for number, (rows, errors_of) in enumerate(first[row] for row in by_frame):
        exchange = _exchange(
            number, datagrams.take(rows), said.of(rows), quoted.take(errors_of), keys.take(rows[:1]), names, captures
        )
        found.append((exchange, rows[~said.is_copy[rows]], rows_quoting[errors_of]))
    return found


class LazyExchanges(Sequence[Exchange]):
    """The UDP exchanges, found when somebody looks: most users only count them."""

    def __init__(
        self,
        datagrams: list[DatagramTable],
        errors: Sequence[IcmpErrorTable],
        names: Names,
        captures: list[str],
        lanes: NDArray[np.int64] | None = None,
        read_again: Callable[[], Sequence[DatagramTable]] | None = None,
    ) -> None:
        self._input = (datagrams, errors, names, captures, lanes)
        #: Reads all datagrams, none of them folded; None if they cannot be read again.
        self._read_again = read_again

    @cached_property
    def _tables(self) -> tuple[KeptDatagrams, IcmpErrorTable]:
        datagrams, errors, _, _, _ = self._input
        kept = KeptDatagrams.concatenate(map(KeptDatagrams.of, datagrams))
        if self._read_again is not None and self._are_misjudged(kept):
            with suppress(CaptureError):  # a file has disappeared meanwhile
                kept = KeptDatagrams.concatenate(map(KeptDatagrams.of, self._read_again()))
        return kept, IcmpErrorTable.concatenate(errors)

    @staticmethod
    def _are_misjudged(datagrams: KeptDatagrams) -> bool:
        """Were datagrams folded as if no other capture had copies of them, while one may?"""
        conversations = Conversations()
        return misjudged(datagrams, conversations.number(keys_of(datagrams)[0]), len(conversations))

    @cached_property
    def _rows(self) -> list[Found]:
        _, _, names, captures, lanes = self._input
        return find_exchanges(*self._tables, names, captures, lanes)

    @cached_property
    def _found(self) -> list[Exchange]:
        return [exchange for exchange, _, _ in self._rows]

    def events(self, number: int) -> list[Datagram | DatagramError]:
        """Return the datagrams of one exchange and the ICMP errors about them, in order of time."""
        exchange, rows, errors_of = self._rows[number]
        datagrams, errors = self._tables[0].take(rows), self._tables[1].take(errors_of)
        captures = self._input[3]
        first = self._tables[0].take(rows[:1])
        home, from_higher = int(first["capture"][0]), keys_of(first)[1][0]

        def end(is_higher: np.uint8) -> End:
            return "originator" if is_higher == from_higher else "responder"

        happened: list[Datagram | DatagramError] = [
            Datagram(
                frame=_frame(datagrams, i, home, captures),
                time_ns=int(datagrams["time_ns"][i]),
                sender=end(is_higher),
                payload_octets=int(datagrams["payload_octets"][i]),
            )
            for i, is_higher in enumerate(keys_of(datagrams)[1])
        ]
        for i, is_higher in enumerate(keys_of(errors)[1]):
            source = address(exchange.ip_version, int(errors["from_hi"][i]), int(errors["from_lo"][i]))
            happened.append(
                DatagramError(
                    frame=_frame(errors, i, home, captures),
                    time_ns=int(errors["time_ns"][i]),
                    source=source,
                    message=_icmp_words(errors, i),
                    quotes=end(is_higher),
                )
            )
        return sorted(happened, key=lambda one: one.time_ns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LazyExchanges | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'exchange')}>"

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> list[Exchange]: ...
    def __getitem__(self, index: int | slice) -> Exchange | list[Exchange]:
        return self._found[index]


def _groups(numbers: NDArray[np.int64], count: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each number, in order; those of numbers from `count` on are left out."""
    order = np.argsort(numbers, kind="stable")
    begins = np.searchsorted(numbers[order], np.arange(count + 1))
    return (order[a:b] for a, b in pairwise(begins.tolist()))


def _exchange(
    number: int,
    rows: KeptDatagrams,
    said: DatagramCounts,
    errors: IcmpErrorTable,
    key: KeyTable,
    names: Names,
    captures: list[str],
) -> Exchange:
    version = int(key["ip_version"][0])
    lower, higher = (
        Endpoint(address(version, int(key[f"{w}_hi"][0]), int(key[f"{w}_lo"][0])), int(key[f"{w}_port"][0]))
        for w in ("lower", "higher")
    )
    from_higher = keys_of(rows)[1]
    asks = from_higher == from_higher[0]
    home = int(rows["capture"][0])
    own = np.flatnonzero(~said.is_copy)
    last = int(own[-1])

    return Exchange(
        number=number,
        capture=captures[home],
        ip_version=version,
        encapsulation=tuple(names.encapsulation[int(rows["encapsulation"][0])].split()),
        originator=higher if from_higher[0] else lower,
        responder=lower if from_higher[0] else higher,
        first_frame=_frame(rows, 0, home, captures),
        last_frame=_frame(rows, last, home, captures),
        first_ns=int(rows["time_ns"][0]),
        last_ns=int(rows["time_ns"][last]),
        datagrams=Pair(int(said.datagrams[asks].sum()), int(said.datagrams[~asks].sum())),
        octets=Pair(int(said.octets[asks].sum()), int(said.octets[~asks].sum())),
        duplicates=int(said.copies.sum()),
        first_answer_ns=_first_answer_ns(rows, own[~asks[own]]),
        errors=tuple((_frame(errors, i, home, captures), _icmp_words(errors, i)) for i in range(len(errors))),
    )


def _frame(table: DatagramTable | IcmpErrorTable, i: int, home: int, captures: list[str]) -> Frame:
    capture, at = int(table["capture"][i]), int(table["frame"][i])
    return at if capture == home else (captures[capture], at)


def _first_answer_ns(rows: DatagramTable, answers: NDArray[np.int64]) -> int | None:
    """Return how long the first answer took; None without one, or if the clock was set back meanwhile."""
    if not len(answers) or rows["time_ns"][answers[0]] < rows["time_ns"][0]:
        return None
    return int(rows["time_ns"][answers[0]] - rows["time_ns"][0])


def _icmp_words(errors: IcmpErrorTable, i: int) -> str:
    return words(*(int(errors[name][i]) for name in ("ip_version", "icmp_type", "icmp_code")))
