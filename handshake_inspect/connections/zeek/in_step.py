"""Applies the rules of `rules` to many token strings at once, one token of each string at a time.

In: token strings. Out: Zeek's `conn_state` and `history` of each. `rules` computes the effect of a token once for each
pair of a stance and a token that occurs: some thousands of pairs for any number of strings.
"""

from __future__ import annotations

from itertools import compress

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.zeek.rules import conn_state, reset_alone, step_of, watch
from handshake_inspect.connections.zeek.tokens import Token
from handshake_inspect.sets import consecutive

#: Fewer strings, and longer ones, are processed one by one.
FEWEST_STRINGS, MOST_TOKENS = 128, 64
#: Maximum size of the table of pairs of a stance and a token, whether their effect is known or not.
MOST_PAIRS = 1 << 18


def watch_all(strings: list[bytes]) -> tuple[list[str], list[str]]:
    """Return the `conn_state` and the `history` of each string, as `watch` does.

    A million segments with random control bits are 80,000 strings of 8 tokens and more. Each takes 1.4 us here, and 4.5
    us one by one.
    """
    size = np.array([*map(len, strings)], np.int64)
    is_short = size <= 2 * MOST_TOKENS
    if np.count_nonzero(is_short) < FEWEST_STRINGS:
        answers = [watch(string) for string in strings]
    elif is_short.all():
        return _watched(strings, size)
    else:
        found = zip(*_watched([*compress(strings, is_short)], size[is_short]), strict=True)
        answers = [next(found) if here else watch(string) for here, string in zip(is_short, strings, strict=True)]
    return [state for state, _ in answers], [history for _, history in answers]


class _Steps:
    """The effects of tokens on stances: a table with a row for each stance that occurred, a column for each token."""

    def __init__(self) -> None:
        self._columns: dict[int, int] = {}
        self._column_of = np.zeros(1 << 16, np.int64)
        #: Numbers of steps, -1 for those not computed yet.
        self._table = np.full((1, 1), -1, np.int64)
        #: The row of each stance that occurred, and the number of each text that is written.
        self.stances: dict[int, int] = {0: 0}
        self.texts: dict[str, int] = {}
        #: For each step: the row of the stance after it, the bit of its letter, and the numbers of the text that is
        #: written if that letter was not written before, and if it was.
        self.after, self.letter, self.first, self.again = self._steps = np.zeros((4, 0), np.int64)

    def columns_of(self, tokens: NDArray[np.uint16]) -> Rows:
        """Return the column of each token."""
        for token in np.flatnonzero(np.bincount(tokens)).tolist():
            self._column_of[token] = self._columns.setdefault(token, len(self._columns))
        self._make_room()
        return self._column_of.take(tokens)

    def of(self, stance: Rows, column: Rows) -> Rows:
        """Return the numbers of the steps for these stances and tokens, given as rows and columns of the table."""
        pair = stance * self._table.shape[1] + column
        step = self._table.take(pair)
        unknown = pair[step < 0]
        if not len(unknown):
            return step
        self._learn([divmod(pair, self._table.shape[1]) for pair in set(unknown.tolist())])
        return self.of(stance, column)

    def is_full(self) -> bool:
        """Return whether the table should be replaced by an empty one. Only damaged captures have this many tokens."""
        return self._table.size > MOST_PAIRS

    def _learn(self, pairs: list[tuple[int, int]]) -> None:
        stances, tokens, steps = [*self.stances], [*self._columns], []
        for row, column in pairs:
            after, letter, *written = step_of(stances[row], tokens[column])
            texts = (self.texts.setdefault(text, len(self.texts)) for text in written)
            steps.append((self.stances.setdefault(after, len(self.stances)), letter, *texts))
        self._table[tuple(zip(*pairs, strict=True))] = self._steps.shape[1] + np.arange(len(pairs))
        self._steps = np.append(self._steps, np.array(steps).T, axis=1)
        self.after, self.letter, self.first, self.again = self._steps
        self._make_room()

    def _make_room(self) -> None:
        more = np.maximum((len(self.stances), len(self._columns)), self._table.shape) - self._table.shape
        if more.any():
            self._table = np.pad(self._table, [(0, int(each)) for each in more], constant_values=-1)


_STEPS = [_Steps()]


def _watched(strings: list[bytes], size: Rows) -> tuple[list[str], list[str]]:
    tokens, count = np.frombuffer(b"".join(strings), np.uint16), size // 2
    begin = np.cumsum(count) - count
    if _STEPS[0].is_full():
        _STEPS[0] = _Steps()
    steps, first = _STEPS[0], tokens[begin]
    stance, piece = _walked(steps, steps.columns_of(tokens), begin, count)
    histories = _joined(piece, [*steps.texts], begin, count)
    for nth in np.flatnonzero(first & Token.BY_RESPONDER).tolist():
        histories[nth] = "^" + histories[nth]
    told = [conn_state(one, is_empty) for one in steps.stances for is_empty in (0, 1)]
    which = stance << 1 | (first & Token.EMPTY != 0)
    return [
        told[number] or reset_alone(text) for number, text in zip(which.tolist(), histories, strict=True)
    ], histories


def _walked(steps: _Steps, column: Rows, begin: Rows, count: Rows) -> tuple[Rows, Rows]:
    """Process all strings: `count` tokens from `begin` on each, given by their columns.

    Returns the last stance of each, by its row, and the number of the text that is written for each token.
    """
    longest_first = np.argsort(-count, kind="stable")
    at = begin[longest_first]
    stance, written, piece = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64), np.empty(len(column), np.int64)
    # The number of strings that have a token at the first, second ... place.
    for nth, left in enumerate((len(count) - np.cumsum(np.bincount(count))[:-1]).tolist()):
        here = at[:left] + nth
        step = steps.of(stance[:left], column.take(here))
        letter = steps.letter.take(step)
        piece[here] = np.where(written[:left] & letter, steps.again.take(step), steps.first.take(step))
        written[:left] |= letter
        stance[:left] = steps.after.take(step)
    last = np.empty(len(at), np.int64)
    last[longest_first] = stance
    return last, piece


def _joined(piece: Rows, texts: list[str], begin: Rows, count: Rows) -> list[str]:
    """Return the texts with these numbers joined, those of each string together."""
    sizes = np.array([*map(len, texts)])
    size = sizes.take(piece)
    ends = np.cumsum(size)
    octets = np.frombuffer("".join(texts).encode(), np.uint8)
    written = octets.take(consecutive((np.cumsum(sizes) - sizes).take(piece), size)).tobytes().decode()
    first, last = (ends - size)[begin].tolist(), ends[begin + count - 1].tolist()
    return [written[a:b] for a, b in zip(first, last, strict=True)]
