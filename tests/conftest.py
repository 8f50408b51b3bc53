"""What all tests share: public captures, the wheel, how long hypothesis may think, how many tests run at once."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.installation import Installed, build_wheel, install, needs_setuptools, once

# Examples are timed by the machine they run on, not by us: a busy one must not fail a property.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# A shell lets what it starts in the background ignore Ctrl-C, and what that starts: programs that tests interrupt, too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: a third of the time tests wait for a kernel's timers, not for a processor."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def captures_dir() -> Path:
    """Return the folder of public captures that HANDSHAKE_CAPTURES names."""
    named = os.environ.get("HANDSHAKE_CAPTURES")
    if named and Path(named).is_dir():
        return Path(named)
    missing = f"no folder of public captures: HANDSHAKE_CAPTURES is {named!r}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture
def loopback_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no other worker send a burst meanwhile: a capture of loopback would see it, and others have no processor."""
    with (tmp_path_factory.getbasetemp().parent / "loopback.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    needs_setuptools()
    (built,) = once(tmp_path_factory, "wheel", build_wheel).glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel."""
    return Installed(wheel, once(tmp_path_factory, "installed", partial(install, wheel)))
