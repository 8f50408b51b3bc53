"""Programs as processes: started in order, listened to, and ended in bounded time whatever happens.

In: a server and a client from `echo`, or the script of a `bench`. Out: their socket calls, in the order in which they
were entered, and the server's address. Programs talk through real sockets only; what they report comes over a pipe
each, a line of JSON per call. Only processes started here are ended here.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from handshake_inspect.lab.calls import Address, CallError, SocketCall, call_as_json
from handshake_inspect.lab.echo import EchoPlan, Stage
from handshake_inspect.lab.world import KernelLacksError, LabError, fork

Server = Callable[[EchoPlan, Stage], None]
Client = Callable[[EchoPlan, Stage, Address], None]

#: How often the caller gets its turn while the programs run.
TURN_S = 0.02
#: How long both programs together may take beyond the timeouts of their own calls.
GRACE_S = 5.0


@dataclass
class Account:
    """What the two programs reported."""

    calls: list[SocketCall] = field(default_factory=list)
    #: Where somebody may connect, in the order in which it was told.
    servers: list[Address] = field(default_factory=list)
    #: A script has come to its end; its process, and so its sockets, are still there.
    script_ended: bool = False
    #: What went wrong in a program beside its socket calls.
    failures: list[str] = field(default_factory=list)
    #: What the kernel lacks that a script is about.
    lacking: str | None = None


class PipeStage:
    """The stage of a program in a child process: everything goes into a pipe, one line of JSON each."""

    def __init__(self, writer: int, client_ended: int, timeout_s: float) -> None:
        self._writer = writer
        self._client_ended = client_ended
        self._timeout_s = timeout_s

    def note(self, call: SocketCall) -> None:
        """Report one finished call."""
        self._say("call", call_as_json(call))

    def ready(self, address: Address) -> None:
        """Report that the client may start."""
        self._say("ready", address)

    def ended(self) -> None:
        """Script only: report its end."""
        self._say("ended", None)

    def fail(self, reason: str) -> None:
        """Report why the program could not go on."""
        self._say("failed", reason)

    def lack(self, what: str) -> None:
        """Script only: report what the kernel lacks that it is about."""
        self._say("lacking", what)

    def until_client_ended(self) -> None:
        """Wait for the end of the pipe that the parent closes when the client has ended."""
        poll = select.poll()
        poll.register(self._client_ended, select.POLLIN | select.POLLHUP)
        poll.poll(self._timeout_s * 1000)

    def _say(self, what: str, content: object) -> None:
        os.write(self._writer, json.dumps([what, content]).encode() + b"\n")


class Program:
    """One child process and the pipe from which its report is read."""

    def __init__(self, run: Callable[[PipeStage], None], client_ended: int, timeout_s: float) -> None:
        self.report, writer = os.pipe()
        self._unread = b""
        self.running = True

        def run_and_leave() -> None:
            os.close(self.report)
            run_program(run, PipeStage(writer, client_ended, timeout_s))

        self.pid = fork(run_and_leave)
        os.close(writer)

    def listen(self, account: Account) -> bool:
        """Read the reports so far; False at the end of the program."""
        octets = os.read(self.report, 65536)
        *lines, self._unread = (self._unread + octets).split(b"\n")
        for line in lines:
            what, content = json.loads(line)
            if what == "call":
                account.calls.append(SocketCall(**content))
            elif what == "ready":
                account.servers.append((content[0], content[1]))
            elif what == "ended":
                account.script_ended = True
            elif what == "lacking":
                account.lacking = content
            else:
                account.failures.append(content)
        return bool(octets)

    def end(self) -> None:
        """Reap the process; it is killed if it still runs."""
        if self.running:
            self.running = False
            os.close(self.report)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def run_program(run: Callable[[PipeStage], None], stage: PipeStage) -> None:
    """Run a whole program in the child. A socket call that fails ends it, and has been noted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        run(stage)
    except CallError:
        pass
    except KernelLacksError as error:
        stage.lack(str(error))
    except LabError as error:
        stage.fail(str(error))
    except Exception as error:
        stage.fail(f"{type(error).__name__}: {error}")


def run_programs(
    server: Server, client: Client, plan: EchoPlan, *, meanwhile: Callable[[], object] = lambda: None
) -> Account:
    """Run the server, then, when it is ready, the client; return when both have ended.

    `meanwhile` is called every few milliseconds. Raises LabError if the server never became ready, or if the two
    did not end in time.
    """
    account = Account()
    deadline = time.monotonic() + 2 * plan.timeout_s + plan.pause_s + GRACE_S
    client_ended_reader, client_ended_writer = os.pipe()
    open_ends = [client_ended_writer]
    programs: list[Program] = []

    def serve(stage: PipeStage) -> None:
        os.close(client_ended_writer)
        server(plan, stage)

    def ask(stage: PipeStage) -> None:
        client(plan, stage, account.servers[0])

    try:
        programs.append(Program(serve, client_ended_reader, 2 * plan.timeout_s))
        wait(programs, account, deadline, meanwhile, until=lambda: bool(account.servers))
        if not account.servers:
            raise LabError(f"the server could not start: {why_not_ready(account)}")
        programs.append(Program(ask, client_ended_reader, plan.timeout_s))
        wait(programs, account, deadline, meanwhile, until=lambda: not programs[1].running)
        os.close(open_ends.pop())
        wait(programs, account, deadline, meanwhile, until=lambda: not programs[0].running)
    finally:
        for program in programs:
            program.end()
        for descriptor in (client_ended_reader, *open_ends):
            os.close(descriptor)
    if account.failures:
        raise LabError(f"an echo program failed: {'; '.join(account.failures)}")
    account.calls.sort(key=lambda call: call.entered_ns)
    return account


@contextmanager
def running_script(
    script: Callable[[Stage], object], limit_s: float, *, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[Account]:
    """Run a script to its end; the body of the context runs while its sockets are still open.

    What the script returns is kept for as long. Raises LabError if the script failed, or did not end within `limit_s`.
    """
    account = Account()

    def perform(stage: PipeStage) -> None:
        _kept = script(stage)  # its sockets, which would be closed if nobody held them
        stage.ended()
        signal.pause()

    never, _writer = os.pipe()
    program = Program(perform, never, limit_s)
    try:
        wait([program], account, time.monotonic() + limit_s, meanwhile, until=lambda: account.script_ended)
        if account.lacking is not None:
            raise KernelLacksError(account.lacking)
        if account.failures or not account.script_ended:
            raise LabError("; ".join(account.failures) or why_it_ended(account))
        account.calls.sort(key=lambda call: call.entered_ns)
        yield account
    finally:
        program.end()
        os.close(never)
        os.close(_writer)


def why_it_ended(account: Account) -> str:
    """Return after which call a script ended that should have gone on."""
    return f"the script ended too early, after {account.calls[-1]}" if account.calls else "the script made no call"


def wait(
    programs: list[Program],
    account: Account,
    deadline: float,
    meanwhile: Callable[[], object],
    *,
    until: Callable[[], bool],
) -> None:
    """Listen to the programs until `until()` holds or none of them runs."""
    with selectors.DefaultSelector() as selector:
        for program in programs:
            if program.running:
                selector.register(program.report, selectors.EVENT_READ, program)
        while not until() and selector.get_map():
            if time.monotonic() > deadline:
                raise LabError("the echo programs did not end in time; what they were doing was stopped")
            for key, _ in selector.select(TURN_S):
                if not key.data.listen(account):
                    selector.unregister(key.fileobj)
                    key.data.end()
            meanwhile()


def why_not_ready(account: Account) -> str:
    """Return which call kept the server from starting, and what to do about it."""
    failed = [call for call in account.calls if call.name not in ("close", "setsockopt")]
    if not failed:
        return "; ".join(account.failures) or "it made no call"
    call = failed[-1]
    remedies = {
        "EADDRINUSE": " (the port is taken: choose another, or leave it to the kernel)",
        "EACCES": " (ports below 1024 need root: choose another, or leave it to the kernel)",
        "EADDRNOTAVAIL": " (IPv6 is off on lo: sysctl -w net.ipv6.conf.lo.disable_ipv6=0, or use IPv4)",
    }
    return f"{call}{remedies.get(call.result, '')}"
