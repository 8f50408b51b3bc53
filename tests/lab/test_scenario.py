from __future__ import annotations

from dataclasses import replace

from handshake_inspect.lab.bench import Bench
from handshake_inspect.lab.scenarios.scenario import FOUR_WAY, Chapter

AGAIN = replace(FOUR_WAY, also={"handshake.syn_retransmissions": 1})


def test_a_script_promises_something_else_at_the_server_only_where_it_says_so() -> None:
    chapter = Chapter("Segments that are lost")

    @chapter.script("same", FOUR_WAY, look_for="Nothing.")
    @chapter.script("other", AGAIN, server_outcomes=(FOUR_WAY, ()), look_for="One SYN at the server.")
    def script(bench: Bench) -> None:
        """The first SYN
        is lost."""

    other, same = chapter.scenarios
    assert same.shows == "The first SYN is lost."
    assert [same.outcomes_at(vantage) for vantage in ("client", "server")] == [((FOUR_WAY,),)] * 2
    assert other.outcomes_at("client") == other.outcomes_at("loopback") == ((AGAIN,),)
    assert other.outcomes_at("server") == ((FOUR_WAY,), ())
