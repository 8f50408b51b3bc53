"""The topics of all sources together."""

from __future__ import annotations

from handshake_inspect.explain.counterparts import tool_pages
from handshake_inspect.explain.rules import finding_page, with_findings
from handshake_inspect.explain.topics import Topics
from handshake_inspect.explain.written import written_pages
from handshake_inspect.findings.catalogue import RULES


def all_topics() -> Topics:
    """Return the topics of all sources."""
    findings = (finding_page(one.code.word, one.code.severity.word, one.page, one.example) for one in RULES)
    return Topics([*with_findings(written_pages(), findings), *tool_pages()])
