"""Who may capture, and tests run in a forked child that has a network of its own.

In: a test (an item of pytest). Out: its reports, made in the child and sent back as pytest-xdist sends them. A process
that lacks CAP_NET_RAW is root of a network that it makes (`lab.world`), and so is the child of an ordinary user; the
child is single-threaded, as unshare(2) of a user namespace wants it.

Fixtures of a module or a session that were made before have their sockets in the network of the parent: the child makes
those that its test asks for anew, and tears them down with it. Those of the parent are left alone there.
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

#: How long processes that a test left behind may take to end when they are asked to, before they are killed.
LEAVING_LIMIT_S = 0.25
#: What a report says where a connection was refused.
NOT_HERE = (
    "this test ran in a private network of its own: sockets made before it, as its module was imported or by\n"
    "other processes, are not in it. Make them in the test or its fixtures; or run as root, or with CAP_NET_RAW,\n"
    "and without --handshake-private"
)
#: Set in the stash of a test that runs in a network of its own.
IS_PRIVATE = pytest.StashKey[bool]()


@cache
def why_not_here() -> str:
    """Return why this process may not capture in the network that it is in; "" if it may."""
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
    """Return why no child of this process may have a network of its own; "" if it may. Tries it once: 10 ms."""
    try:
        with forking():
            in_private_world(os.getpid)
    except WorldError as error:
        return str(error)
    return ""


def is_to_be_private(*, is_wanted: bool) -> bool:
    """Tell whether a test that captures is to run in a network of its own: where it must, or where that is wanted."""
    return sys.platform.startswith("linux") and (is_wanted or bool(why_not_here())) and not why_no_world()


def why_it_cannot(item: pytest.Item, *, is_wanted: bool) -> str:
    """Return why a test that is running cannot capture, in one line; "" if it can. `is_wanted`: only privately."""
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
    """What a child has to say of a test."""

    #: As `pytest_report_to_serializable` makes them.
    reports: list[dict[str, Any] | None]
    #: Text, name of the category, file and line.
    warnings: list[tuple[str, str, str, int]]
    #: Message and code of a `pytest.exit`.
    exit: tuple[str, int | None] | None = None
    is_interrupted: bool = False


def reports_of_private(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[pytest.TestReport]:
    """Run a test in a network of its own, and yield its reports."""
    factory = getattr(item.config, "_tmp_path_factory", None)
    if factory is not None:
        factory.getbasetemp()  # made here, it is that of all tests, and ends with them
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
    # What tests before it left for this one and those after it.
    teardown = item.session._setupstate.teardown_exact
    after = pytest.CallInfo.from_call(lambda: teardown(nextitem), "teardown", reraise=reraised)
    if after.excinfo is not None:
        yield pytest.TestReport.from_item_and_call(item, after)


def told_by_child(item: pytest.Item) -> TestOutcome:
    """Run a test in a child. Fails, in one line, if that ends without a word."""
    import_what_captures()
    try:
        with forking():
            return in_child(lambda: run_privately(item))
    except ChildDiedError as error:
        code = error.exit_code
        how = f"ended its process with {signal.Signals(-code).name if code < 0 else f'exit status {code}'}"
    except pytest.fail.Exception as error:  # somebody watches how long it takes
        how = f"was ended: {error.msg}"
    pytest.fail(f"in its private network: the test {how}", pytrace=False)


@contextmanager
def forking() -> Iterator[None]:
    """Forks without being told of threads (Python 3.12): those of pytest-xdist and of fixtures stay with the parent."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*use of fork\(\) may lead to deadlocks", DeprecationWarning)
        yield


def import_what_captures() -> None:
    """Import it, so that it is there in every child; what libraries say meanwhile is not the test's fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scapy.arch.linux  # noqa: F401

        import handshake_inspect.testing.recording
        import handshake_inspect.testing.reporting  # noqa: F401


def warn_again(caught: list[tuple[str, str, str, int]]) -> None:
    """Have the summary of the run show what was warned of in a child."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # the filters had their say in the child
        for text, category, file, line in caught:
            warnings.warn_explicit(text, getattr(builtins, category), file, line)


def builtin_category(category: type[Warning]) -> str:
    """Return the name of the category, or that of Python's own that is nearest to it."""
    return next(one.__name__ for one in category.__mro__ if one.__module__ == "builtins")


def run_privately(item: pytest.Item) -> TestOutcome:
    """Run a test in a network of its own, in which this process, a child, is from now on. Raises WorldError."""
    pid = os.getpid()
    enter_private_network()
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as tests, and what they fork, know them
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
            os._exit(0)  # forked by the test, and come back from it: its parent reports
        end_what_is_left()
    to_data = item.config.hook.pytest_report_to_serializable
    sent = [to_data(config=item.config, report=report) for report in reports]
    warned = [(str(one.message), builtin_category(one.category), one.filename, one.lineno) for one in caught]
    return TestOutcome(sent, warned, **leaving)


def run_by_protocol(item: pytest.Item, sibling: pytest.Item, reports: list[pytest.TestReport]) -> None:
    """Run a test as pytest does, or a plugin that runs it several times (pytest-rerunfailures); add its reports."""
    session: Any = item.session
    of_path = session.gethookproxy
    session.gethookproxy = lambda path: ReportsKept(of_path(path), reports)
    given = {"item": item, "nextitem": sibling}
    for one in reversed(item.ihook.pytest_runtest_protocol.get_hookimpls()):
        is_around = one.wrapper or one.hookwrapper  # is so already, in the parent
        if not is_around and one.function(*(given[name] for name in one.argnames)):
            return


class ReportsKept:
    """The hooks of the child, but that nobody there is told of reports: the parent tells of them."""

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
    """Stands for the test that follows: one of the same class or module, for which that is not torn down."""

    def runtest(self) -> None:
        """Never run."""


class MadeHere:
    """A plugin of the child: has fixtures of a module or a session made here, and torn down with the test."""

    def __init__(self, item: pytest.Item) -> None:
        self._made = ExitStack()
        #: What was made before: let go, a generator would run its `finally` here, and end what the parent still uses.
        self._made_before: list[object] = []
        definitions: Iterable[Sequence[pytest.FixtureDef[Any]]] = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
        for one in chain.from_iterable(definitions):
            self._made_before.append((one.cached_result, [*one._finalizers]))
            one.cached_result = None
            one._finalizers.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: Any) -> Iterator[None]:
        """Note what outlives a test."""
        if fixturedef.scope != "function":
            self._made.callback(fixturedef.finish, request)
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """Tear it down, the last one first."""
        try:
            return (yield)
        finally:
            self._made.close()


class NotFoundHere:
    """A plugin of the child: where a connection was refused, says that other sockets are not in this network."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add it to the report."""
        report = yield
        if report.failed and call.excinfo is not None and was_refused(call.excinfo.value):
            report.sections.append(("private network", NOT_HERE))
        return report


def was_refused(error: BaseException | None) -> bool:
    """Tell whether an error says that, or one that it comes from: libraries have errors of their own for it."""
    if error is None:
        return False
    causes = (error.__cause__ or error.__context__, *getattr(error, "exceptions", ()))
    return f"[Errno {errno.ECONNREFUSED}]" in str(error) or any(map(was_refused, causes))


def end_what_is_left() -> None:
    """End the processes that a test left behind: their network goes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        send(number, list(descendants()))
        deadline = time.monotonic() + LEAVING_LIMIT_S
        while list(descendants()) and time.monotonic() < deadline:
            time.sleep(0.005)
