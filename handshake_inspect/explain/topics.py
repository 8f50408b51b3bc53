"""Finds the page of a topic in any spelling.

In: pages, and the text typed: "TIME_WAIT", "recv()", "why three". Out: the page, or the nearest names. Matches are
tried in this order: the exact spelling of a page (so that LISTEN is the state, and listen the call), then any case
and punctuation, for names of pages first, then for their other names and titles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher, get_close_matches

from handshake_inspect.explain.page import KINDS, Page, PageError

#: Prefixes of names elsewhere: TCP_ESTABLISHED, socket.bind.
FAMILIES = ("tcp-", "socket-")
#: Most near names to suggest.
NEAREST_MAX = 3
#: Least likeness of a near name, from 0 to 1, and how much less than that of the nearest one it may be.
LIKENESS, LESS_THAN_NEAREST = 0.65, 0.2


def normalised(topic: str) -> str:
    """Return a topic without differences of spelling: "TIME_WAIT?" and "time wait" become "time-wait"."""
    return "-".join(re.findall(r"[^\W_]+", topic.casefold()))


def likeness(one: str, other: str) -> float:
    """Return the likeness of two names, from 0 to 1."""
    return SequenceMatcher(None, other, one).ratio()


class Topics:
    """Pages by all their names."""

    def __init__(self, pages: Iterable[Page]) -> None:
        """Take pages of all sources. Raises PageError if two claim one name, or one refers to a missing page."""
        self.pages = {page.name: page for page in _without_twins(pages)}
        self._names = {normalised(name): page for name, page in self.pages.items()}
        self._exact: dict[str, Page] = {}
        self._others: dict[str, Page] = {}
        #: Spellings of `_others` -> what is proposed for them: the name as a page writes it, not its title.
        self._written: dict[str, str] = {}
        for page in self.pages.values():
            for spelling in {*page.also} - self.pages.keys():
                _claim(self._exact, spelling, page)
            for name in (page.title, *page.also):
                if (spelling := normalised(name)) not in self._names:
                    _claim(self._others, spelling, page)
                    self._written.setdefault(spelling, page.name if name == page.title else name)
            for name in page.see:
                if name not in self.pages:
                    raise PageError(f"{page.name}: there is no page {name} to see")

    def find(self, topic: str) -> Page | None:
        """Return the page of a topic; None if there is none."""
        spelled = normalised(topic)
        found = self.pages.get(topic) or self._exact.get(topic) or self._named(spelled)
        family = next((one for one in FAMILIES if spelled.startswith(one)), "")
        return found or self._named(spelled.removeprefix(family))

    def _named(self, spelled: str) -> Page | None:
        return self._names.get(spelled) or self._others.get(spelled)

    def nearest(self, topic: str) -> list[str]:
        """Return the names most like the text typed, nearest first, one for each page; `find` accepts all of them."""
        spelled = normalised(topic)
        known = {**self._others, **self._names}
        is_word = len(spelled) > 1  # else the s of "Nagle's" is one
        inside = sorted((one for one in known if is_word and spelled in one.split("-")), key=len)
        near = get_close_matches(spelled, known, n=2 * NEAREST_MAX, cutoff=LIKENESS)
        least = max((likeness(spelled, one) for one in near), default=0) - LESS_THAN_NEAREST
        nearest: dict[str, str] = {}
        for one in [*inside, *(one for one in near if likeness(spelled, one) >= least)]:
            nearest.setdefault(known[one].name, self._written.get(one, one))
        return list(nearest.values())[:NEAREST_MAX]

    def by_kind(self) -> dict[str, list[Page]]:
        """Return the pages of each kind, in the order of KINDS, sorted by name."""
        pages = self.pages.values()
        found = {kind: [page for page in pages if kind in (page.kind, *page.other_kinds)] for kind in KINDS}
        return {kind: sorted(pages, key=lambda page: page.name) for kind, pages in found.items() if pages}


def _without_twins(pages: Iterable[Page]) -> Iterator[Page]:
    seen: set[str] = set()
    for page in pages:
        if page.name in seen:
            raise PageError(f"{page.name}: there are two pages of this name")
        seen.add(page.name)
        yield page


def _claim(names: dict[str, Page], name: str, page: Page) -> None:
    if names.setdefault(name, page) is not page:
        raise PageError(f"{page.name}: {names[name].name} is called {name} too")
