"""Permission to capture, and tests that run in a forked child with a network of its own.

In: a test (an item of pytest). Out: its reports, made in the child and sent back as pytest-xdist sends them. A process
without CAP_NET_RAW is root in a network that it creates (`lab.world`), and so is the child of an ordinary user; the
child is single-threaded, as unshare(2) of a user namespace requires.

Fixtures of a module or a session that exist already have their sockets in the network of the parent: the child makes
those that its test needs again, and tears them down after it. It does not touch those of the parent.
"""

from __future__ import annotations

import builtins
import errno
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import pytest

from handshake_inspect.lab.processes import adopt_orphans, descendants, send
from handshake_inspect.lab.world import ChildDiedError, WorldError, enter_private_network, in_child, in_private_world

#: How long processes left behind by a test may take to end after SIGTERM, before they are killed.
LEAVING_LIMIT_S = 0.25
#: Text of a report where a connection was refused.
NOT_HERE = (
    "this test ran in a private network of its own: sockets made before it, as its module was imported or by\n"
    "other processes, are not in it. Make them in the test or its fixtures; or run as root, or with CAP_NET_RAW,\n"
    "and without --handshake-private"
)
#: Key in the stash of a test that runs in a network of its own.
IS_PRIVATE = pytest.StashKey[bool]()


@cache
def why_not_here() -> str:
    """Return why this process may not capture in its current network; "" if it may."""
    if not sys.platform.startswith("linux"):
        return "live capture needs Linux"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError as error:
        lacks = isinstance(error, PermissionError)
        return "this process lacks CAP_NET_RAW" if lacks else f"there are no packet sockets here: {error.strerror}"
    return ""


@cache
def why_no_world() -> str:
    """Return why a child of this process cannot have a network of its own; "" if it can. Tried once: 10 ms."""
    try:
        with forking():
            in_private_world(os.getpid)
    except WorldError as error:
        return str(error)
    return ""


def is_to_be_private(*, is_wanted: bool) -> bool:
    """Must a test that captures run in a network of its own, because it is wanted or the only way?"""
    return sys.platform.startswith("linux") and (is_wanted or bool(why_not_here())) and not why_no_world()


def why_it_cannot(item: pytest.Item, *, is_wanted: bool) -> str:
    """Return in one line why a running test cannot capture; "" if it can. `is_wanted`: only in a private network."""
    here = why_not_here()
    if item.stash.get(IS_PRIVATE, False) or not (here or is_wanted):
        return ""
    if not sys.platform.startswith("linux"):
        return here
    if why_no_world():
        return f"{here}, and {why_no_world()}" if here else why_no_world()
    return "capture_handshakes must be among the arguments of the test or of its fixtures: it was asked for too late"


@dataclass(frozen=True)
class TestOutcome:
    """The result of a test, as the child sends it."""

    #: Reports in the form of `pytest_report_to_serializable`.
    reports: list[dict[str, Any] | None]
    #: Warnings: text, name of the category, file and line.
    warnings: list[tuple[str, str, str, int]]
    #: Message and code of a `pytest.exit`.
    exit: tuple[str, int | None] | None = None
    is_interrupted: bool = False


def reports_of_private(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[pytest.TestReport]:
    """Run a test in a network of its own, and yield its reports."""
    factory = getattr(item.config, "_tmp_path_factory", None)
    if factory is not None:
        factory.getbasetemp()  # created in the parent, it is shared by all tests, and removed after them
    reraised = (KeyboardInterrupt, pytest.exit.Exception)
    told: list[TestOutcome] = []
    call = pytest.CallInfo.from_call(lambda: told.append(told_by_child(item)), "call", reraise=reraised)
    if call.excinfo is not None:
        yield pytest.TestReport.from_item_and_call(item, call)
    for one in told:
        for report in one.reports:
            yield item.config.hook.pytest_report_from_serializable(config=item.config, data=report)
        warn_again(one.warnings)
        if one.exit is not None:
            pytest.exit(*one.exit)
        if one.is_interrupted:
            raise KeyboardInterrupt
    # Tear down fixtures that earlier tests left for this one and those after it.
    teardown = item.session._setupstate.teardown_exact
    after = pytest.CallInfo.from_call(lambda: teardown(nextitem), "teardown", reraise=reraised)
    if after.excinfo is not None:
        yield pytest.TestReport.from_item_and_call(item, after)


def told_by_child(item: pytest.Item) -> TestOutcome:
    """Run a test in a child. Fails with a message of one line if the child ends without a result."""
    import_what_captures()
    try:
        with forking():
            return in_child(lambda: run_privately(item))
    except ChildDiedError as error:
        code = error.exit_code
        how = f"ended its process with {signal.Signals(-code).name if code < 0 else f'exit status {code}'}"
    except pytest.fail.Exception as error:  # a time limit of another plugin
        how = f"was ended: {error.msg}"
    pytest.fail(f"in its private network: the test {how}", pytrace=False)


@contextmanager
def forking() -> Iterator[None]:
    """Fork without the warning about threads (Python 3.12): those of pytest-xdist and fixtures stay in the parent."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*use of fork\(\) may lead to deadlocks", DeprecationWarning)
        yield


def import_what_captures() -> None:
    """Import the modules for capturing, for all children; hide warnings of libraries, which do not concern the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scapy.arch.linux  # noqa: F401

        import handshake_inspect.testing.recording
        import handshake_inspect.testing.reporting  # noqa: F401


def warn_again(caught: list[tuple[str, str, str, int]]) -> None:
    """Repeat the warnings of a child, so that the summary of the run shows them."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # the filters were applied in the child
        for text, category, file, line in caught:
            warnings.warn_explicit(text, getattr(builtins, category), file, line)


def builtin_category(category: type[Warning]) -> str:
    """Return the name of a warning category, or of its nearest base among Python's builtins."""
    return next(one.__name__ for one in category.__mro__ if one.__module__ == "builtins")


def run_privately(item: pytest.Item) -> TestOutcome:
    """Move this process, a child, into a network of its own, and run a test there. Raises WorldError."""
    pid = os.getpid()
    enter_private_network()
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the defaults, as tests and their forks expect
    signal.signal(signal.SIGINT, signal.default_int_handler)
    item.stash[IS_PRIVATE] = True
    item.config.pluginmanager.register(MadeHere(item))
    item.config.pluginmanager.register(NotFoundHere())
    assert item.parent is not None
    sibling = Sibling.from_parent(item.parent, name=item.name)
    reports: list[pytest.TestReport] = []
    leaving: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        try:
            run_by_protocol(item, sibling, reports)
        except pytest.exit.Exception as error:
            leaving["exit"] = error.msg, error.returncode
        except KeyboardInterrupt:
            leaving["is_interrupted"] = True
        if os.getpid() != pid:
            os._exit(0)  # a fork of the test returned here: its parent reports
        end_what_is_left()
    to_data = item.config.hook.pytest_report_to_serializable
    sent = [to_data(config=item.config, report=report) for report in reports]
    warned = [(str(one.message), builtin_category(one.category), one.filename, one.lineno) for one in caught]
    return TestOutcome(sent, warned, **leaving)


def run_by_protocol(item: pytest.Item, sibling: pytest.Item, reports: list[pytest.TestReport]) -> None:
    """Run a test by pytest, or by a plugin that runs it several times (pytest-rerunfailures); add its reports."""
    session: Any = item.session
    of_path = session.gethookproxy
    session.gethookproxy = lambda path: ReportsKept(of_path(path), reports)
    given = {"item": item, "nextitem": sibling}
    for one in reversed(item.ihook.pytest_runtest_protocol.get_hookimpls()):
        is_around = one.wrapper or one.hookwrapper  # wrappers are active already, in the parent
        if not is_around and one.function(*(given[name] for name in one.argnames)):
            return


class ReportsKept:
    """The hooks of the child, except that reports are collected, not logged: the parent logs them."""

    def __init__(self, hooks: Any, reports: list[pytest.TestReport]) -> None:
        self._hooks = hooks
        self._reports = reports

    def __getattr__(self, name: str) -> Any:
        if name == "pytest_runtest_logreport":
            return lambda report: self._reports.append(report)
        if name in ("pytest_runtest_logstart", "pytest_runtest_logfinish"):
            return lambda **_: None
        return getattr(self._hooks, name)


class Sibling(pytest.Item):
    """A placeholder for the next test, in the same class or module, whose fixtures are then not torn down."""

    def runtest(self) -> None:
        """Never run."""


class MadeHere:
    """A plugin of the child: makes fixtures of a module or a session again, and tears them down after the test."""

    def __init__(self, item: pytest.Item) -> None:
        self._made = ExitStack()
        #: Fixtures of the parent: a generator that is freed would run its `finally` here and end what the parent uses.
        self._made_before: list[object] = []
        definitions: Iterable[Sequence[pytest.FixtureDef[Any]]] = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
        for one in chain.from_iterable(definitions):
            self._made_before.append((one.cached_result, [*one._finalizers]))
            one.cached_result = None
            one._finalizers.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: Any) -> Iterator[None]:
        """Register the fixtures that outlive a test."""
        if fixturedef.scope != "function":
            self._made.callback(fixturedef.finish, request)
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """Tear them down, the last one first."""
        try:
            return (yield)
        finally:
            self._made.close()


class NotFoundHere:
    """A plugin of the child: reports after a refused connection that other sockets are not in this network."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the section to the report."""
        report = yield
        if report.failed and call.excinfo is not None and was_refused(call.excinfo.value):
            report.sections.append(("private network", NOT_HERE))
        return report


def was_refused(error: BaseException | None) -> bool:
    """Is an error, or one of its causes, a refused connection? Libraries wrap it in errors of their own."""
    if error is None:
        return False
    causes = (error.__cause__ or error.__context__, *getattr(error, "exceptions", ()))
    return f"[Errno {errno.ECONNREFUSED}]" in str(error) or any(map(was_refused, causes))


def end_what_is_left() -> None:
    """End the processes that a test left behind: their network is about to go."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        send(number, list(descendants()))
        deadline = time.monotonic() + LEAVING_LIMIT_S
        while list(descendants()) and time.monotonic() < deadline:
            time.sleep(0.005)
