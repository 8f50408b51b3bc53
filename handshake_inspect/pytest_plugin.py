"""The pytest plugin: captures as fixtures, and ladders in the reports of tests that fail.

Inert until a test asks for one of its fixtures: nothing of the engine is imported before, and no hook does anything.
What happens then is in `testing`, whose modules are imported by the functions that need them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from handshake_inspect.testing.handshakes import Handshakes
    from handshake_inspect.testing.recording import Recording
    from handshake_inspect.testing.reporting import UsedCaptures

#: What a test has used so far.
USED = pytest.StashKey["UsedCaptures"]()
#: Where captures of tests that failed are kept, below pytest's rootdir.
DEFAULT_FOLDER = "handshake-captures"
#: Set and not 0: that a test cannot capture is a failure, not a reason to skip it.
REQUIRE = "HANDSHAKE_REQUIRE_CAPTURE"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("handshake-inspect", "captures of TCP connections")
    group.addoption(
        "--handshake-captures",
        metavar="DIR",
        help=f"Keep the live captures of tests that fail in DIR ({DEFAULT_FOLDER} below rootdir unless given).",
    )
    group.addoption(
        "--handshake-private",
        action="store_true",
        help="Run each test that captures in a network of its own, as where it could not capture otherwise.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line(
        "markers", "capture(name, ...): captures for the fixture `captured`; of several the test runs with each"
    )


@pytest.fixture
def handshakes(request: pytest.FixtureRequest) -> Callable[..., Handshakes]:
    """Inspect captures: `handshakes("echo.pcap")`, found beside the test's file, else below rootdir.

    Several names are read as one run. `profile` says whose TIME-WAIT is assumed, as `inspect()` has it.
    """
    from handshake_inspect.testing.handshakes import Handshakes

    def opened(
        name: str | os.PathLike[str], *others: str | os.PathLike[str], profile: str | float = "linux"
    ) -> Handshakes:
        __tracebackhide__ = True
        return Handshakes(used_by(request).of_files((name, *others), profile))

    opened.__qualname__ = "handshakes"  # what Python calls it where an argument is wrong
    return opened


@pytest.fixture
def captured(request: pytest.FixtureRequest, handshakes: Callable[..., Handshakes]) -> Handshakes:
    """Inspect the capture that the mark names: `@pytest.mark.capture("echo.pcap")`."""
    names = marked(request.node)
    unknown = [name for mark in request.node.iter_markers("capture") for name in mark.kwargs]
    if unknown:
        pytest.fail(
            f"captured: the mark takes names of captures, and no {unknown[0]}=; handshakes() knows profile=",
            pytrace=False,
        )
    if not names:
        pytest.fail(
            'captured: the test has no mark that names a capture: @pytest.mark.capture("echo.pcap")', pytrace=False
        )
    if len(names) > 1 and not hasattr(request, "param"):
        pytest.fail(f"captured: a parameter has one capture, not {len(names)}: give each its own", pytrace=False)
    from handshake_inspect.capture.records import CaptureError

    try:
        return handshakes(getattr(request, "param", names[0]))
    except (CaptureError, TypeError) as error:
        why = str(error)
    pytest.fail(f"captured: {why}", pytrace=False)


@pytest.fixture
def capture_handshakes(request: pytest.FixtureRequest) -> Callable[..., Recording]:
    """Capture live what the test does on loopback: `with capture_handshakes(port=8000) as seen:`.

    Without `port` all TCP of loopback. At the end it waits for connections that are not closed yet, `closing_s` at
    most; `async with` lets an event loop go on meanwhile. Where this process may not capture, the test runs in a
    private network; where that cannot be, it is skipped (HANDSHAKE_REQUIRE_CAPTURE=1: it fails).
    """
    from handshake_inspect.testing.isolation import why_it_cannot

    reason = why_it_cannot(request.node, is_wanted=request.config.getoption("--handshake-private"))
    if reason:
        message = f"cannot capture: {reason}"
        if os.environ.get(REQUIRE, "0") not in ("", "0"):
            pytest.fail(f"{message} ({REQUIRE} is set)", pytrace=False)
        pytest.skip(message)
    from handshake_inspect.lab.performing import CLOSING_LIMIT_S
    from handshake_inspect.testing.recording import INTERFACE, Recording

    def capture(
        port: int | None = None, *, closing_s: float = CLOSING_LIMIT_S, profile: str | float = "linux"
    ) -> Recording:
        __tracebackhide__ = True
        name = INTERFACE if port is None else f"{INTERFACE} port {port}"
        return Recording(used_by(request).to_be_recorded(name, profile), port, closing_s)

    capture.__qualname__ = "capture_handshakes"
    return capture


def found(name: str, request: pytest.FixtureRequest) -> Path:
    """Return the path of a file that a test names: beside its own, else below rootdir. Raises CaptureError."""
    __tracebackhide__ = True
    places = list(dict.fromkeys(folder / name for folder in (request.path.parent, request.config.rootpath)))
    for place in places:
        if place.exists():
            return place
    from handshake_inspect.capture.records import CaptureError

    raise CaptureError(f"{name}: there is no such file: looked for {' and '.join(map(str, places))}")


def marked(item: pytest.Item) -> list[str]:
    """Return the captures that the marks of a test name, those of its own first."""
    return [name for mark in item.iter_markers("capture") for name in mark.args]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have a test run once with each capture, where its marks name several."""
    if "captured" in metafunc.fixturenames:
        names = marked(metafunc.definition)
        if len(names) > 1:
            metafunc.parametrize("captured", names, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that captures in a network of its own where it must be, or is asked for."""
    if "capture_handshakes" not in getattr(item, "fixturenames", ()):
        return None
    from handshake_inspect.testing import isolation

    if item.stash.get(isolation.IS_PRIVATE, False):
        return None
    is_wanted = item.config.getoption("--handshake-private")
    if not isolation.is_to_be_private(is_wanted=is_wanted):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in isolation.reports_of_private(item, nextitem):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the ladders of the captures that a test used to the report of its failure; keep those that were recorded.

    If it passes, what was kept of it before goes.
    """
    report = yield
    used = item.stash.get(USED, None)
    if used is not None:
        used.has_passed &= report.passed
        if report.failed:
            error = call.excinfo.value if call.excinfo else None
            report.sections += used.sections(error, item.nodeid, folder_of_captures(item.config))
        if call.when == "teardown":
            change = used.remove_kept if used.has_passed else used.keep_what_went_on
            change(item.nodeid, folder_of_captures(item.config))
            used.close()
            del item.stash[USED]
    return report


def folder_of_captures(config: pytest.Config) -> Path:
    """Return where captures of tests that failed are kept."""
    named = config.getoption("--handshake-captures")
    return config.rootpath / DEFAULT_FOLDER if named is None else config.invocation_params.dir / named


def used_by(request: pytest.FixtureRequest) -> UsedCaptures:
    """Return what the test of a fixture has used so far."""
    from handshake_inspect.testing.reporting import UsedCaptures

    stash: pytest.Stash = request.node.stash
    return stash.setdefault(USED, UsedCaptures(partial(found, request=request)))
