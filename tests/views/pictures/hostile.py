"""Text made to break out of markup, of diagrams, of a terminal; and a ladder that has it wherever it could stand."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from handshake_inspect.connections.connection import Finding, Step
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.rungs import Ladder, Spelling
from tests.views.sessions import PAYLOAD, call, four_way, icmp_error, long_transfer, too_big, unreachable

WORST = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></td></table></svg>",
    "]]><![CDATA[ --> <!-- &amp; &#60; <?xml?>",
    "'; DROP TABLE; \n%% end\nparticipant evil\n#35; ;: -->> loop",
    "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n",
    "\u202eevil\u202c \u2028\u2029 \u200b \ufeff \ud800",
    "{{7*7}} ${7*7} javascript:alert(1) url(//evil)",
]
#: The worst, and anything else.
TEXTS = st.sampled_from(WORST) | st.text(max_size=40)


def hostile_ladder(said: str, *, numbers: str = "symbolic") -> tuple[Ladder, dict[str, object]]:
    """Return a ladder that says it everywhere, and the arguments of a picture that say it too."""
    connection = four_way()
    steps: list[Step] = list(connection.steps or ())
    frame = (said, 5)
    steps[4] = replace(steps[4], frame=frame, comments=(said,), ignored=said)
    found = Finding(said, "warn", (frame,), said)
    error = replace(icmp_error(200, 99, (3, 1, said, "hard")), source=said)
    connection = replace(connection, capture=said, findings=(found,), icmp_errors=(error,))
    ladder = ladder_of(
        connection,
        steps,
        calls=[call("client", f"connect({said})", said, 0, 60), call("server", f"accept({said})", said, 10, 70)],
        payload={**PAYLOAD, (frame, steps[4].seq): said.encode("utf-8", "replace") * 2},
        marks={1: [said]},
        spelling=Spelling(numbers=numbers, payload_octets=64),  # type: ignore[arg-type]
    )
    return ladder, {"title": said, "facts": [said, said]}


def ladders() -> list[Ladder]:
    """Return ordinary ladders, with every kind of row between them."""
    found = []
    for connection in (four_way(), unreachable(), too_big(), long_transfer()):
        assert connection.steps is not None
        calls = [call("client", "connect(127.0.0.1:8000)", "0", 0, 71)] if connection.time_wait else []
        found.append(ladder_of(connection, connection.steps, calls=calls, payload=PAYLOAD))
    return found
