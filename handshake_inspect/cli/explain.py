"""`handshake-inspect explain`: what a word means, which segments it makes, and a real ladder of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from handshake_inspect.explain.topics import Topics


@click.command("explain")
@click.argument("words", metavar="[TOPIC]", nargs=-1)
def command(words: tuple[str, ...]) -> int:
    """Explain a state, a control bit, a socket call, a question or a finding, with the RFC and a real ladder.

    Without TOPIC all topics are listed. A topic may be spelled as elsewhere: TIME_WAIT, SYN_RECV, "recv()". Several
    words are one topic. LISTEN is the state, listen the call.

    \b
    Examples:
      handshake-inspect explain
      handshake-inspect explain TIME-WAIT
      handshake-inspect explain states
      handshake-inspect explain why three
      handshake-inspect explain half-open
    """
    from handshake_inspect.cli.output import DEFAULT_WIDTH, terminal_width, write_lines
    from handshake_inspect.explain.listing import topic_lines
    from handshake_inspect.explain.rendering import page_lines

    topics = all_topics()
    width = max(60, terminal_width() or DEFAULT_WIDTH)
    if not words:
        write_lines(topic_lines(topics, width))
        return 0
    topic = " ".join(words)
    page = topics.find(topic)
    if page is None:
        near = topics.nearest(topic)
        hint = f"Near it are: {', '.join(near)}" if near else "`handshake-inspect explain` lists them all"
        raise click.UsageError(f"there is no topic {topic!r}. {hint}")
    write_lines(page_lines(page, width))
    return 0


def all_topics() -> Topics:
    """Return the topics of all sources."""
    from handshake_inspect.explain.counterparts import tool_pages
    from handshake_inspect.explain.rules import finding_page, with_findings
    from handshake_inspect.explain.topics import Topics
    from handshake_inspect.explain.written import written_pages
    from handshake_inspect.findings.catalogue import RULES

    findings = (finding_page(one.code.word, one.code.severity.word, one.page, one.example) for one in RULES)
    return Topics([*with_findings(written_pages(), findings), *tool_pages()])
