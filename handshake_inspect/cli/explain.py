"""`handshake-inspect explain`: what a word means, which segments it makes, and a real ladder of it."""

from __future__ import annotations

import click


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
    from handshake_inspect.cli.output import text_width, write_lines
    from handshake_inspect.explain.collected import all_topics
    from handshake_inspect.explain.listing import topic_lines
    from handshake_inspect.explain.rendering import page_lines

    topics = all_topics()
    width = text_width()
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
