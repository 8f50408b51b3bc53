"""Pages that are written as files: `pages/NAME.md` is the page of topic NAME.

In: nothing. Out: pages, as `reading` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from handshake_inspect.explain.page import Page
from handshake_inspect.explain.reading import read_page

SUFFIX = ".md"


def written_pages() -> Iterator[Page]:
    """Yield all pages that are files. Raises PageError."""
    for file in (resources.files("handshake_inspect.explain") / "pages").iterdir():
        if file.name.endswith(SUFFIX):
            yield read_page(file.name.removesuffix(SUFFIX), file.read_text(encoding="utf-8"))
