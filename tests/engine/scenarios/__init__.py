"""The scenarios of `test_scenarios` and of the oracle: a sentence, segments, and what an expert says about them.

They are written in the notation of `tests.engine.scenario`. One module per group; in reading order:

- `openings`, `failed_openings`: handshakes.
- `closings`: FINs.
- `ignored`: segments that must be ignored.
- `resets`: an RST in every state.
- `reused`: the next connection of the same sockets.
- `not_captured`: what a capture missed.
- `fast_open`: data on the SYN.
- `counterexamples`: what rules out simpler rules for the engine.
"""

from __future__ import annotations

from tests.engine.scenarios.closings import CLOSINGS
from tests.engine.scenarios.counterexamples import COUNTEREXAMPLES
from tests.engine.scenarios.failed_openings import FAILED_OPENINGS
from tests.engine.scenarios.fast_open import FAST_OPEN
from tests.engine.scenarios.ignored import IGNORED
from tests.engine.scenarios.not_captured import NOT_CAPTURED
from tests.engine.scenarios.openings import OPENINGS
from tests.engine.scenarios.resets import RESETS
from tests.engine.scenarios.reused import REUSED

GROUPS = {
    "opening": OPENINGS,
    "failed opening": FAILED_OPENINGS,
    "closing": CLOSINGS,
    "ignored": IGNORED,
    "RST": RESETS,
    "reused sockets": REUSED,
    "not captured": NOT_CAPTURED,
    "Fast Open": FAST_OPEN,
    "counterexample": COUNTEREXAMPLES,
}

SCENARIOS = {f"{group}: {name}": text for group, members in GROUPS.items() for name, text in members.items()}
