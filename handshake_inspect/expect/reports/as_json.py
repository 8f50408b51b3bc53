"""For programs: one JSON document with every check, every failure, and what could not be used.

In: a `CheckedRun`. Out: pieces of text. The names are a contract, as those of `views.contract`: more may be added; none
changes its meaning without a new `SCHEMA`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from handshake_inspect.expect.checked import CheckedCapture, CheckedRun, Outcome, Unusable
from handshake_inspect.expect.matching import Check, Failure
from handshake_inspect.views.contract import endpoint_object

Json = dict[str, Any]
SCHEMA = 1


def document(run: CheckedRun) -> Iterator[str]:
    """Yield the document, a capture to a line."""
    head = {"schema": SCHEMA, "checked": run.looked_at, "failed": run.failed_connections}
    yield json.dumps(head).removesuffix("}") + ', "captures": ['
    for number, capture in enumerate(run.captures):
        yield (",\n" if number else "\n") + json.dumps(capture_object(capture))
    unusable = [unusable_object(one) for one in run.unusable]
    yield f'], "unusable": {json.dumps(unusable)}, "interrupted": {json.dumps(run.interrupted)}}}\n'


def capture_object(capture: CheckedCapture) -> Json:
    """Return the object of one capture."""
    return {
        "capture": capture.name,
        "expectations": capture.sources,
        "checked": len(capture.looked_at),
        "failed": len(capture.failed_streams),
        "remarks": capture.remarks,
        "checks": [_outcome_object(one) for one in capture.outcomes],
        "failures": [
            {**failure_object(capture, check, failure), "ladder": capture.ladder_of(check)}
            for check, failure, _ in capture.messages()
        ],
    }


def _outcome_object(outcome: Outcome) -> Json:
    return {
        "check": outcome.title,
        "stream": outcome.stream,
        "met": outcome.failed is None,
        "source": outcome.place.source,
        "line": outcome.place.line,
    }


def failure_object(capture: CheckedCapture, check: Check, failure: Failure) -> Json:
    """Return the object of one expectation that is not met."""
    one, unmet = check.connection, failure.unmet
    return {
        "capture": capture.name,
        "stream": None if one is None else one.stream,
        "originator": None if one is None else endpoint_object(one.originator),
        "responder": None if one is None else endpoint_object(one.responder),
        "key": unmet.key,
        "expected": unmet.expected,
        "seen": unmet.seen,
        "detail": unmet.detail or None,
        "frame": None if unmet.at is None else unmet.at.frame,
        "source": failure.place.source,
        "line": failure.place.line,
        "message": capture.message(check, failure),
    }


def unusable_object(unusable: Unusable) -> Json:
    """Return the object of something that could not be used."""
    place = unusable.place
    return {
        "capture": unusable.name,
        "message": unusable.message,
        "source": None if place is None else place.source,
        "line": None if place is None else place.line,
    }
