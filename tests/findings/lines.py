"""What is found of connections that nobody recorded: written as lines (`tests.engine.scenario`)."""

from __future__ import annotations

from handshake_inspect.findings import options, segment_sizes
from handshake_inspect.findings.rule import Rule
from tests.engine.scenario import inspect_lines

#: The SYNs of most lines have no options, and that is not what they are about.
_OF_OPTIONS = {
    one.code.word for module in (options, segment_sizes) for one in vars(module).values() if isinstance(one, Rule)
}


def found_in(text: str) -> dict[str, str]:
    """Return the message of each code found of the connections of a scenario, but of those about options."""
    found = [one for connection in inspect_lines(text).connections for one in connection.findings]
    return {one.code: one.message for one in found if one.code not in _OF_OPTIONS}
