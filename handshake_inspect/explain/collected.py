"""The topics of all sources together: files in `pages/`, docstrings of rules, other tools' names.

`pages/NAME.md` is the page of topic NAME.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from handshake_inspect.explain.counterparts import tool_pages
from handshake_inspect.explain.page import Page
from handshake_inspect.explain.reading import read_page
from handshake_inspect.explain.rules import finding_page, with_findings
from handshake_inspect.explain.topics import Topics
from handshake_inspect.findings.catalogue import RULES

SUFFIX = ".md"


def all_topics() -> Topics:
    """Return the topics of all sources."""
    findings = (finding_page(one.code.word, one.code.severity.word, one.page, one.example) for one in RULES)
    return Topics([*with_findings(written_pages(), findings), *tool_pages()])


def written_pages() -> Iterator[Page]:
    """Yield all pages that are files. Raises PageError."""
    for file in (resources.files("handshake_inspect.explain") / "pages").iterdir():
        if file.name.endswith(SUFFIX):
            yield read_page(file.name.removesuffix(SUFFIX), file.read_text(encoding="utf-8"))
