"""The engine based on Dask: functions run on the workers of a cluster, local or remote.

In: the address of a scheduler, or "local". Out: an `Engine`. Results that are arguments of other functions stay on the
workers; if a worker dies, Dask repeats its functions on another. This duplicates nothing: the functions are pure, and
each result is delivered once.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from handshake_inspect import __version__
from handshake_inspect.jobs import cores

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

LOCAL = "local"
#: How long to wait for a scheduler, and for its first worker. A later time without any worker this long is reported.
CONNECT_WITHIN_S, WORKER_WITHIN_S = 10, 30
#: A message of Dask begins with its number of parts; the first message has fewer than this.
MOST_PARTS = 1 << 10
#: Interval between calls of `Watch`.
TOLD_EVERY_S = 0.2

#: Called with the kind of work, the count done, and the total.
Watch = Callable[[str, int, int], None]
#: Called with one line that says what the work waits for.
Tell = Callable[[str], None]


class ClusterError(Exception):
    """A cluster cannot be used. The message is one line: what is wrong, and what to do."""


@contextlib.contextmanager
def cluster(
    address: str,
    watch: Watch = lambda doing, done, of: None,
    workers: int | None = None,
    tell: Tell = lambda line: None,
) -> Iterator[Cluster]:
    """Connect to a scheduler, or start local workers: `workers` of them, or one per core. Raises ClusterError."""
    try:
        import distributed
    except ImportError:
        raise ClusterError("needs Dask, which is not installed; pip install 'handshake-inspect[dask]'") from None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_silence())
        try:
            if address == LOCAL:
                start = partial(
                    distributed.LocalCluster,
                    n_workers=workers or cores(),
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                )
                client = distributed.Client(stack.enter_context(_started(start)))
            else:
                _look_for_scheduler(address)
                client = distributed.Client(address, timeout=CONNECT_WITHIN_S)
            stack.enter_context(client)
            client.wait_for_workers(1, timeout=WORKER_WITHIN_S)
        except (OSError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ClusterError(f"{address}: no cluster of Dask there that has a worker: {reason}") from None
        _check_version(address, client)
        yield Cluster(address, client, watch, tell)


def _look_for_scheduler(address: str) -> None:
    """Check that a scheduler listens at a TCP address: it sends first. Raises OSError, ValueError or OverflowError.

    Dask itself waits without limit for a silent peer, and takes the octets of another protocol for a message length.
    """
    protocol, _, place = address.rpartition("://")
    if protocol not in ("", "tcp"):
        return
    host, _, port = place.rpartition(":")
    with (
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_WITHIN_S) as looking,
        looking.makefile("rb") as stream,
    ):
        parts = int.from_bytes(stream.read(8), "little")
    if not 0 < parts < MOST_PARTS:
        raise ValueError("what answers is no scheduler")


def _started(start: Callable[[], LocalCluster]) -> LocalCluster:
    """Start child processes to which Ctrl-C means nothing: this process hears it, and ends them in order.

    They inherit the signals that are blocked in the thread that starts them. Where KeyboardInterrupt comes meanwhile,
    it is raised when all have started and have been ended again.
    """
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing import resource_tracker

    if not hasattr(signal, "pthread_sigmask"):  # where Ctrl-C does not reach child processes by itself
        return start()
    resource_tracker.ensure_running()  # it lets SIGINT through again in the thread in which it is started

    def begin() -> LocalCluster:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return start()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(begin)
        try:
            return coming.result()
        except KeyboardInterrupt:
            coming.result().close()
            raise


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Disable the logs of Dask: errors are reported in one line here, not as tracebacks of its threads."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    loud = [one for one in map(logging.getLogger, names) if not one.disabled]
    for one in loud:
        one.disabled = True
    try:
        yield
    finally:
        for one in loud:
            one.disabled = False


def _check_version(address: str, client: Client) -> None:
    """Raise ClusterError unless all workers have this version of this package."""
    try:
        versions = set(client.run(_version).values())
    except Exception as error:  # anything that their import raises
        raise ClusterError(
            f"{address}: a worker cannot import handshake-inspect {__version__}; install it there: {error}"
        ) from None
    if others := versions - {__version__}:
        raise ClusterError(f"{address}: workers have handshake-inspect {', '.join(others)}, not {__version__}")


def _version() -> str:
    return __version__


class Cluster:
    """The workers of a scheduler."""

    def __init__(self, address: str, client: Client, watch: Watch, tell: Tell) -> None:
        self._address, self._client, self._watch, self._tell = address, client, watch, tell
        #: When the last worker left, None while there is one; and whether that was reported.
        self._alone_since_s: float | None = None
        self._told = False
        self._run, self._numbers = uuid4().hex[:12], count()

    @property
    def workers(self) -> int:
        """Count of functions that run at once."""
        threads: list[int] = list(self._client.nthreads().values())
        return max(sum(threads), 1)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """Run a function on a worker. Futures among the arguments are replaced by their results."""
        key = f"{function.__name__}-{self._run}-{next(self._numbers)}"
        return self._client.submit(function, *arguments, key=key)

    def results(self, submitted: Sequence[Future], doing: str) -> list[Any]:
        """Wait for results, and return them in order."""
        from distributed import CancelledError, KilledWorker, wait

        waiting = list(submitted)
        try:
            while waiting:
                self._watch(doing, len(submitted) - len(waiting), len(submitted))
                with contextlib.suppress(TimeoutError):
                    wait(waiting, timeout=TOLD_EVERY_S, return_when="FIRST_COMPLETED")
                self._look_for_workers()
                waiting = [one for one in waiting if not one.done()]
            self._watch(doing, len(submitted), len(submitted))
            results: list[Any] = self._client.gather(list(submitted))
        except KilledWorker as error:
            raise ClusterError(
                f"{self._address}: several workers died of one piece of the work; have they enough memory? {error}"
            ) from None
        except (CancelledError, OSError, TimeoutError):
            raise ClusterError(
                f"{self._address}: the connection to the scheduler was lost, and the work with it; run it again"
            ) from None
        return results

    def _look_for_workers(self) -> None:
        """Report once that all workers are gone and none has come back: Dask itself waits silently."""
        if self._client.nthreads():
            self._alone_since_s = None
            return
        now_s = time.monotonic()
        self._alone_since_s = self._alone_since_s or now_s
        if not self._told and now_s - self._alone_since_s >= WORKER_WITHIN_S:
            self._told = True
            self._tell(
                f"{self._address}: all workers are gone, and none has come for {WORKER_WITHIN_S} s; the work goes on "
                "when one does, Ctrl-C ends it"
            )
