"""For test harnesses: the Test Anything Protocol. A check is a test point, and so is what could not be used.

In: a `CheckedRun`. Out: pieces of text. It is TAP 13 with what TAP 14 has made of it: ` - ` before a description, `\\`
and `#` in it escaped, diagnostics in YAML behind two spaces. It calls itself 13, because Perl's `prove` refuses later
ones, and a harness for 14 takes it for such (testanything.org, tap-version-14-specification, "Version").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from handshake_inspect.expect.checked import CheckedCapture, CheckedRun, Outcome
from handshake_inspect.expect.reports.as_json import failure_object, unusable_object
from handshake_inspect.views.escape import printable


def document(run: CheckedRun) -> Iterator[str]:
    """Yield the document, test point by test point; the plan stands at the end, where the number is known."""
    yield "TAP version 13\n"
    number = 0
    for capture in run.captures:
        for outcome in capture.outcomes:
            number += 1
            yield from _point(number, f"{capture.name}: {outcome.title}", _diagnosis(capture, outcome))
        yield from (f"# {line}\n" for line in capture.remarks)
    for unusable in run.unusable:
        number += 1
        yield from _point(number, f"{unusable.name}: it can be used", unusable_object(unusable))
    if run.interrupted:
        yield "Bail out! interrupted: other captures may be left\n"
    yield f"1..{number}\n" if number else "1..0 # there was no capture\n"


def _point(number: int, description: str, diagnosis: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a test point; one that has a diagnosis failed."""
    said = printable(description).replace("\\", "\\\\").replace("#", "\\#")
    yield f"{'ok' if diagnosis is None else 'not ok'} {number} - {said}\n"
    if diagnosis is not None:
        yield "  ---\n"
        yield from (f"  {line}\n" for key, value in diagnosis.items() for line in _yaml(key, value))
        yield "  ...\n"


def _diagnosis(capture: CheckedCapture, outcome: Outcome) -> dict[str, Any] | None:
    """Return why a check is not met; None if it is."""
    check = outcome.failed
    if check is None:
        return None
    found = {
        "message": "; ".join(capture.message(check, one) for one in check.failures),
        "severity": "fail",
        "failures": [failure_object(capture, check, one) for one in check.failures],
    }
    ladder = capture.ladder_of(check)
    return found if ladder is None else {**found, "ladder": ladder}


def _yaml(key: str, value: Any) -> Iterator[str]:
    """Write a key and its value: text of several lines as it is, anything else as JSON, which YAML 1.2 contains.

    Perl's harness reads less of YAML: no indicator behind `|`, and no line in such a block without its spaces.
    """
    if isinstance(value, str) and "\n" in value and not value[0].isspace():
        yield f"{key}: |"
        yield from (f"  {printable(line)}" for line in value.split("\n"))
    else:
        yield f"{key}: {json.dumps(value)}"
