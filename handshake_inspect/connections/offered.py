"""What option lists of SYNs offer, as far as rules use it: lists that differ only in a cookie or a key offer the same.

In: the option lists of a run, by number. Out: `OfferedOptions`, one number for all lists that offer the same. A flood
may have a different list on each SYN, but only some dozens of distinct offers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.plain import frozen
from handshake_inspect.tcp.options import Options, gist, is_cut, parse

#: Cookies and keys are zeroed, so even lists with random ones repeat.
_parsed = lru_cache(maxsize=1 << 14)(parse)


@frozen
class OfferedOptions:
    """What each option list offers."""

    #: Index of each list into `distinct`. Shape (k,), as the next.
    which: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    #: Did the capture truncate the list?
    is_cut: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    #: The distinct offers, with zeros for the octets of cookies and keys.
    distinct: tuple[Options, ...] = ()

    def __len__(self) -> int:
        return len(self.which)

    def and_by(self, lists: Sequence[bytes]) -> OfferedOptions:
        """Return the same with more lists appended."""
        numbers = {one: number for number, one in enumerate(self.distinct)}
        which = [numbers.setdefault(_parsed(gist(octets)), len(numbers)) for octets in lists]
        cut = [is_cut(octets) for octets in lists]
        return OfferedOptions(
            np.append(self.which, np.array(which, np.int32)),
            np.append(self.is_cut, np.array(cut, np.bool_)),
            tuple(numbers),
        )

    @cached_property
    def has_fast_open(self) -> NDArray[np.bool_]:
        """Mark the lists with the Fast Open option."""
        has = np.array([one.fast_open_cookie is not None for one in self.distinct], np.bool_)
        return has[self.which]
