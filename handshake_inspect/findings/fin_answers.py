"""Which segments acknowledge a FIN: what the rules about closing begin with.

In: `Evidence`. Out: `FinAnswers`. An acknowledgment behind a FIN acknowledges the FIN, unless its sender had sent
octets with that number before, which the acknowledgment may mean instead.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.splitting.rows import SYN
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.sets import set_of


class FinAnswers:
    """The segments of a partition that acknowledge their receiver's FIN, captured or inferred."""

    def __init__(self, evidence: Evidence) -> None:
        self._e = evidence

    @cached_property
    def rows(self) -> Rows:
        """All of them, rising."""
        rows, numbers, at = self._e.rows, self._e.numbers, self._e.numbers.of_fins
        passed = self._passed_before()
        if len(passed):
            # Ahead of a FIN whose sender had passed its number, what acknowledges that number means something else.
            ahead = np.isin(rows.peer[at], passed) & (at < numbers.fin_row[rows.peer[at]])
            # Behind it too, if an octet has that number.
            at = at[~(ahead | np.isin(rows.peer[at], self._numbered_twice(passed)))]
        return at

    @cached_property
    def first(self) -> Rows:
        """First segment of each end that acknowledges its peer's FIN, -1 if none does. Shape (2m,)."""
        return self._e.first_of_end(self.rows)

    def _passed_before(self) -> Rows:
        """Return the ends that had sent up to or beyond the number of their FIN before the FIN itself."""
        row, fin_end = self._e.numbers.fin_row, self._e.numbers.fin_end
        # By the row before the FIN, of whichever connection that is: few are left of which it must be asked whose.
        maybe = [
            2 * np.flatnonzero(sent.take(row[side::2] - 1, mode="clip") >= fin_end[side::2]) + side
            for side, sent in enumerate(self._e.sent)
        ]
        passed = set_of(*maybe)
        passed = passed[row[passed] >= 0]
        return passed[self._e.sent_before(row[passed]) >= fin_end[passed]]

    def _numbered_twice(self, ends: Rows) -> Rows:
        """Return those of these ends that sent an octet with the number of their FIN, ahead of that FIN."""
        rows, numbers = self._e.rows, self._e.numbers
        at = np.flatnonzero(np.isin(rows.end, ends) & ~self._e.is_rst)
        at = at[at < numbers.fin_row[rows.end[at]]]
        number = numbers.fin_end[rows.end[at]] - 1
        begin = rows.seq[at] - rows.folded_octets[at] + ((rows.flags[at] & SYN) != 0)
        stop = begin + rows.folded_octets[at] + rows.payload[at]
        return set_of(rows.end[at[(begin <= number) & (number < stop)]])
