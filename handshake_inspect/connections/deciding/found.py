"""Findings about connections, in columns: a million equal findings take some numbers each, and one text.

In: `FindingRows`, from the rules of the folder `findings`. Out: `Findings`, which returns the findings of every
connection, the most severe first, as texts. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.cells import distinct
from handshake_inspect.connections.connection import Finding, Frame, Pair, RunFinding, SeverityWord
from handshake_inspect.plain import plain
from handshake_inspect.quantities import counted, duration, octets_in_words
from handshake_inspect.sets import set_of
from handshake_inspect.table import FRAME_BITS

#: Frame number of a segment that was not captured.
NO_FRAME = -1
#: Codes per word of a set of codes.
WORD_CODES = 64


#: By their numbers in `Severity`.
SEVERITY_WORDS: tuple[SeverityWord, ...] = ("chat", "note", "warn", "error")


class Severity(IntEnum):
    """How much a finding matters."""

    CHAT = 0  # informative; ordinary
    NOTE = 1  # not ordinary; often harmless
    WARN = 2  # something went wrong or will, or looks like an attack
    ERROR = 3  # the protocol is broken: what looks open is not

    @property
    def word(self) -> SeverityWord:
        """The severity as in the contract."""
        return SEVERITY_WORDS[self]


@plain
class Code:
    """The stable identifier of a finding."""

    word: str
    severity: Severity
    #: Codes suppressed where this one was found, because it is their cause.
    explains: tuple[str, ...] = ()
    #: It is chat, and depends on times: another run of the same programs may not have it.
    by_times: bool = False


@plain
class FindingRows:
    """One finding about some connections. Arrays have shape (k,), one entry for each of them.

    `text` names `values` in braces, each with its format: `{waited:duration}` (nanoseconds; a negative one is unknown),
    `{n:octets}`, `{who:end}` (0 the originator, 1 the responder), `{tries:count SYN}`. A value without a format is
    written as a number with separated thousands.
    """

    text: str
    #: Rows of the `VerdictTable`, rising; a connection may be repeated.
    connection: Rows
    #: Frames that show it (`table.frame_numbers`), NO_FRAME for none.
    frames: tuple[Rows, ...] = ()
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def only(self, mask: NDArray[np.bool_]) -> FindingRows:
        """Return the entries for which `mask` holds."""
        values = {name: column[mask] for name, column in self.values.items()}
        return FindingRows(self.text, self.connection[mask], tuple(frames[mask] for frames in self.frames), values)

    def shifted(self, rows: int) -> FindingRows:
        """Return the same about connections `rows` rows further down."""
        return FindingRows(self.text, self.connection + rows, self.frames, self.values)

    def placed(self, place: Rows) -> FindingRows:
        """Return the same about connections moved to the rows `place`."""
        return FindingRows(self.text, place[self.connection], self.frames, self.values).in_order()

    def in_order(self) -> FindingRows:
        """Return the same by connection."""
        if bool((self.connection[1:] >= self.connection[:-1]).all()):
            return self
        order = np.argsort(self.connection, kind="stable")
        values = {name: column[order] for name, column in self.values.items()}
        return FindingRows(self.text, self.connection[order], tuple(frames[order] for frames in self.frames), values)


Coded = tuple[Code, FindingRows]


class Survey(NamedTuple):
    """Applies the rules to all connections of a run."""

    #: Returns the findings of all rules about connections, in order of output.
    of_connections: Callable[[], list[Coded]]
    #: Returns the findings about the run as a whole.
    of_run: Callable[[], list[RunFinding]]


class Findings:
    """All findings about connections."""

    def __init__(self, found: Iterable[Coded] = ()) -> None:
        parts: dict[tuple[Code, str], list[FindingRows]] = {}
        for code, one in _unexplained(list(found)):
            if len(one.connection):
                parts.setdefault((code, one.text), []).append(one)
        by_severity = sorted(parts.items(), key=lambda part: -part[0][0].severity)
        #: Findings of one code and one text, the most severe first.
        self.batches: list[Coded] = [(code, _together(same)) for (code, _), same in by_severity]

    def __len__(self) -> int:
        return sum(len(found.connection) for _, found in self.batches)

    @cached_property
    def entries(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The connection, the batch and the index in it of each finding, by connection and severity."""
        if not self.batches:
            return (np.zeros(0, np.int64),) * 3
        sizes = [len(found.connection) for _, found in self.batches]
        connection = np.concatenate([found.connection for _, found in self.batches])
        batch = np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes)
        place = np.concatenate([np.arange(size, dtype=np.uint32) for size in sizes])
        order = np.argsort(connection, kind="stable")
        return connection[order], batch[order], place[order]

    @cached_property
    def _spelled_sets(self) -> dict[tuple[int, ...], tuple[str, ...]]:
        return {}

    @cached_property
    def _codes(self) -> list[Code]:
        return list(dict.fromkeys(code for code, _ in self.batches))

    def _between(self, rows: Rows) -> tuple[Rows, Rows]:
        connection = self.entries[0]
        return np.searchsorted(connection, rows, "left"), np.searchsorted(connection, rows, "right")

    def of(self, row: int, names: Pair[str], frame_name: Callable[[int, int], Frame]) -> tuple[Finding, ...]:
        """Return the findings of one connection, the most severe first.

        `names`: the names of its ends. `frame_name` identifies a frame by the numbers of capture and frame.
        """
        first, last = self._between(np.array([row]))
        _, batches, places = self.entries
        at = range(int(first[0]), int(last[0]))
        return tuple(self.spell(int(batches[i]), int(places[i]), names, frame_name) for i in at)

    def spell(self, batch: int, place: int, names: Pair[str], frame_name: Callable[[int, int], Frame]) -> Finding:
        """Return the finding at an index of a batch."""
        code, found = self.batches[batch]
        numbers = sorted(int(frames[place]) for frames in found.frames)
        frames = dict.fromkeys(
            frame_name(number >> FRAME_BITS, number & (1 << FRAME_BITS) - 1) for number in numbers if number != NO_FRAME
        )
        values = {name: int(column[place]) for name, column in found.values.items()}
        return Finding(code.word, code.severity.word, tuple(frames), say(found.text, values, names))

    def code_sets(self, rows: Rows) -> tuple[list[tuple[str, ...]], Rows]:
        """Return the distinct sets of codes of these connections, most severe first, and the set of each."""
        bits = self._code_bits[np.minimum(rows, len(self._code_bits) - 1)]
        number = np.zeros(len(rows), np.int64)
        if not bits.any():
            return [()], number
        for word in bits.T:
            values = set_of(word)
            number = number * len(values) + np.searchsorted(values, word)
        occurring, number = distinct(number)
        example = np.empty(len(occurring), np.int64)
        example[number] = np.arange(len(number))
        return [self._spelled_set(tuple(one)) for one in bits[example].tolist()], number

    @cached_property
    def _code_bits(self) -> NDArray[np.uint64]:
        """A bit for each code found of each connection: shape (highest connection + 2, words); none in the last row."""
        rows = max((int(found.connection[-1]) + 2 for _, found in self.batches), default=1)
        bits = np.zeros((rows, -(-len(self._codes) // WORD_CODES)), np.uint64)
        for code, found in self.batches:
            word, bit = divmod(self._codes.index(code), WORD_CODES)
            bits[found.connection, word] |= np.uint64(1 << bit)
        return bits

    def _spelled_set(self, words: tuple[int, ...]) -> tuple[str, ...]:
        """Spell a set, given as a bit for each of its codes: those of a block of connections come again in others."""
        spelled = self._spelled_sets.get(words)
        if spelled is None:
            codes = enumerate(self._codes)
            spelled = tuple(code.word for n, code in codes if words[n // WORD_CODES] >> n % WORD_CODES & 1)
            self._spelled_sets[words] = spelled
        return spelled

    def rows_by_code(self) -> dict[Code, Rows]:
        """Return the connections of which each code was found, each once, the worst code first."""
        rows: dict[Code, list[Rows]] = {}
        for code, found in self.batches:
            rows.setdefault(code, []).append(found.connection)
        return {code: set_of(np.concatenate(parts)) for code, parts in rows.items()}


def _unexplained(found: list[Coded]) -> list[Coded]:
    """Leave out what another finding of the same connection explains."""
    explained: dict[str, list[Rows]] = {}
    for code, one in found:
        for word in code.explains:
            explained.setdefault(word, []).append(one.connection)
    left = []
    for code, one in found:
        if code.word in explained:
            one = one.only(~np.isin(one.connection, np.concatenate(explained[code.word])))
        left.append((code, one))
    return left


def _together(parts: list[FindingRows]) -> FindingRows:
    """Put findings of one text below each other, sorted by connection."""
    first = parts[0]
    if len(parts) == 1:
        return first
    connection = np.concatenate([one.connection for one in parts])
    frames = tuple(np.concatenate(columns) for columns in zip(*(one.frames for one in parts), strict=True))
    values = {name: np.concatenate([one.values[name] for one in parts]) for name in first.values}
    return FindingRows(first.text, connection, frames, values).in_order()


def say(text: str, values: Mapping[str, int], names: Pair[str]) -> str:
    """Insert numbers into a text, each in its format."""
    return text.format_map({name: _Said(value, names) for name, value in values.items()})


class _Said:
    """A number with a format as in texts of findings."""

    __slots__ = ("_names", "_value")

    def __init__(self, value: int, names: Pair[str]) -> None:
        self._value = value
        self._names = names

    def __format__(self, how: str) -> str:
        kind, _, thing = how.partition(" ")
        if kind == "duration":
            return duration(self._value) if self._value >= 0 else "an unknown time"
        if kind == "octets":
            return octets_in_words(self._value)
        if kind == "end":
            return self._names.responder if self._value else self._names.originator
        if kind == "count":
            return counted(self._value, thing)
        return format(self._value, how or ",")
