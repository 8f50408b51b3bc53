"""For CI servers: JUnit XML. A capture is a suite, a check a test case, what could not be used an error.

In: a `CheckedRun`, when and where it ran. Out: pieces of text. The format was never specified: what is written here is
what Ant's schema asks for (windyroad's JUnit.xsd, the strictest), which Jenkins' own (junit-10.xsd) takes too. XML 1.0
§2.2 has no place for most control characters: they are written as escapes, `\\x1b`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import PurePath
from xml.etree import ElementTree

from handshake_inspect.expect.beside import without_ending
from handshake_inspect.expect.checked import CheckedCapture, CheckedRun, Outcome, Unusable
from handshake_inspect.views.escape import printable

Element = ElementTree.Element


def document(run: CheckedRun, began: datetime, host: str) -> Iterator[str]:
    """Yield the document, suite by suite."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    about = {"timestamp": began.strftime("%Y-%m-%dT%H:%M:%S"), "hostname": host or "localhost"}
    suites = [*map(_suite, run.captures), *map(_error_suite, run.unusable)]
    for number, suite in enumerate(suites):
        for name, value in {**about, "id": str(number), "package": "handshake-inspect"}.items():
            suite.set(name, value)
        ElementTree.indent(suite, level=1)
        yield "  " + ElementTree.tostring(suite, encoding="unicode") + "\n"
    yield "</testsuites>\n"


def _suite(capture: CheckedCapture) -> Element:
    """Return the suite of one capture."""
    suite = _new_suite(capture.name, tests=len(capture.outcomes), failures=len(capture.failed), seconds=capture.seconds)
    for source in capture.sources:
        ElementTree.SubElement(suite[0], "property", name="expectations", value=printable(source))
    before: Counter[str] = Counter()
    for outcome in capture.outcomes:
        before[outcome.title] += 1
        again = f" ({before[outcome.title]})" if before[outcome.title] > 1 else ""
        case = _case(suite, capture.name, outcome.title + again, outcome.seconds)
        _add_failure(case, capture, outcome)
    return _ended(suite, capture.remarks)


def _error_suite(unusable: Unusable) -> Element:
    """Return the suite of something that could not be used."""
    suite = _new_suite(unusable.name, tests=1, errors=1)
    case = _case(suite, unusable.name, "it can be used", 0.0)
    error = ElementTree.SubElement(case, "error", type="unusable", message=printable(unusable.message))
    error.text = printable(unusable.message)
    return _ended(suite)


def _new_suite(name: str, *, tests: int, failures: int = 0, errors: int = 0, seconds: float = 0.0) -> Element:
    counts = {"tests": tests, "failures": failures, "errors": errors, "skipped": 0}
    numbers = {key: str(count) for key, count in counts.items()}
    suite = Element("testsuite", {"name": printable(name), **numbers, "time": f"{seconds:.3f}"})
    ElementTree.SubElement(suite, "properties")
    return suite


def _ended(suite: Element, remarks: Sequence[str] = ()) -> Element:
    """Add the output elements that Ant's schema requires at the end; they hold the remarks on the capture."""
    for stream in ("system-out", "system-err"):
        ElementTree.SubElement(suite, stream)
    suite[-1].text = "\n".join(remarks) or None
    return suite


def _case(suite: Element, capture: str, title: str, seconds: float) -> Element:
    attributes = {"classname": _class_name(capture), "name": printable(title), "time": f"{seconds:.6f}"}
    return ElementTree.SubElement(suite, "testcase", attributes)


def _class_name(capture: str) -> str:
    """Return the path of a capture with dots: servers take the part before the last dot for a package."""
    path = PurePath(capture)
    parts = [one for one in path.parent.parts if one not in (path.anchor, "..")]
    return printable(".".join([*parts, without_ending(path.name)]))


def _add_failure(case: Element, capture: CheckedCapture, outcome: Outcome) -> None:
    """Add the failures to a test case, in one element, because Ant's schema allows only one."""
    check = outcome.failed
    if check is None:
        return
    messages = [printable(capture.message(check, one)) for one in check.failures]
    kinds = dict.fromkeys(one.unmet.key for one in check.failures)
    failure = ElementTree.SubElement(case, "failure", type=", ".join(kinds), message="; ".join(messages))
    ladder = capture.ladder_of(check)
    drawn = [] if ladder is None else ["", *ladder.split("\n")]
    failure.text = "\n".join([*messages, *map(printable, drawn)])
