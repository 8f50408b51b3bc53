"""Begins the 60 seconds of TIME-WAIT as soon as it is known that a test wants them, and puts that test last.

A child waits them out beside the tests (`sixty_seconds`), so that no worker sits idle meanwhile: whichever worker comes
first starts it, and the folder for what it finds is one for all. It ends with the run, whichever worker has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.privileges import needs_private_world

REPOSITORY = Path(__file__).parents[3]
#: The folder of the run in which the child writes.
FOLDER = "sixty-seconds"
#: It takes 65 s; a busy machine may start it late.
LIMIT_S = 120
STARTED = pytest.StashKey[subprocess.Popen[bytes]]()


def wants_them(item: pytest.Item) -> bool:
    return "after_sixty_seconds" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=wants_them)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly or not any(map(wants_them, session.items)):
        return
    folder = folder_of_run(session.config)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    log = (folder / "log").open("wb")
    session.config.stash[STARTED] = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.time_wait.sixty_seconds", str(folder), str(run)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    log.close()


def folder_of_run(config: pytest.Config) -> Path:
    """Return a folder that all workers of this run share, and no other run."""
    base: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / FOLDER


@pytest.fixture(scope="session")
def after_sixty_seconds(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    """Return a function that waits for a file of the child's, by its name, and reads it."""
    needs_private_world()
    folder = folder_of_run(request.config)

    def read(name: str) -> bytes:
        deadline = time.monotonic() + LIMIT_S
        while not (folder / name).exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        return (folder / name).read_bytes()

    return read
