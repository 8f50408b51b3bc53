"""`echo` as it is typed: what is refused, what a terminal shows, what Ctrl-C does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from handshake_inspect.lab.world import in_private_world
from tests.cli.running import REPOSITORY, run
from tests.cli.terminal import Terminal
from tests.lab.privileges import needs_private_world
from tests.lab.programs_by_hand import Program, run_program


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--udp", "--backlog", "3"], "--backlog does not go with --udp: UDP has no connection"),
        (["serve", "--udp", "--backlog", "0"], "--backlog does not go with --udp"),
        (["serve", "--udp", "--timeout", "3"], "--timeout does not go with --udp: there is no client to leave"),
        (["serve", "--unix", "/tmp/x", "--port", "3"], "--port does not go with --unix: a Unix socket has neither"),
        (["serve", "--unix", "/tmp/x", "--udp"], "choose one: --udp or --unix"),
        (["serve", "--linger", "5"], "'5' is not '0'"),
        (["serve", "--half-close", "--linger", "0"], "choose one: --half-close or --linger"),
        (["serve", "--port", "abc"], "'abc' is not a valid integer."),
        (["connect", "80", "--timeout", "x"], "'x' is not a valid number."),
        (["chat", "join", "80", "--name", ""], "Error: '': a name has 1 to 20 letters"),
        (["serve", "--port", "70000"], "70000 is not in the range"),
        (["connect"], "where to? Give [HOST:]PORT"),
        (["connect", "80", "--unix", "/tmp/x"], "a Unix socket has no address"),
        (["connect", "::1:80"], "an IPv6 address needs brackets before its port"),
        (["connect", "80", "--udp", "--half-close"], "--half-close does not go with --udp"),
        (["chat", "join", "80"], "Missing option '--name'"),
        (["sevre"], "there is no command 'sevre'. Did you mean serve?"),
        (["chat", "jion"], "there is no command 'jion'. Did you mean join?"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line(arguments: list[str], says: str) -> None:
    done = run("echo", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def port_taken() -> list[tuple[int, str]]:
    with Program("serve") as server:
        port = server.address().rpartition(":")[2]
        ended = []
        for options in (["--port", port], ["--host", "192.0.2.1"]):
            with Program("serve", *options) as second:
                ended.append(second.end())
    return [(one.code, one.err.splitlines()[-1]) for one in ended]


def test_a_port_that_is_taken_and_an_address_of_another_host() -> None:
    needs_private_world()
    taken, elsewhere = in_private_world(port_taken)
    assert taken[0] == elsewhere[0] == 2
    assert taken[1].endswith("= EADDRINUSE: the port is taken: choose another, or 0 for one that is free")
    assert elsewhere[1] == "Error: bind(192.0.2.1:0) = EADDRNOTAVAIL: this host does not have that address"


def two_terminals() -> dict[str, object]:
    server = Terminal("echo", "serve", "--half-close")
    address = server.until(r"listening on (\S+)\r\n")[1]
    client = Terminal("echo", "connect", address, "--half-close")
    client.until(r"type lines; Ctrl-D closes")
    client.until("> ")
    client.type("grüezi \u202e\n")
    client.until(r"\x1b\[KGRüEZI \\u202e\r\n")
    client.until("> ")
    client.type("\n")
    client.until("an empty line is no octet")
    client.until("> ")
    client.type("\x04")
    client.until("11 OCTETS IN ALL\r\n")
    codes = [client.code()]
    server.until(r"recv\(1024\) = .*b''")
    server.type("\x03")
    codes.append(server.code())
    return {"codes": codes, "server": server.seen}


def test_two_people_at_two_terminals_echo_and_close() -> None:
    needs_private_world()
    told = in_private_world(two_terminals)
    assert told["codes"] == [0, 0]
    assert str(told["server"]).endswith("1 client served, 11 octets echoed\r\n")
    assert "\x1b[1;34m" in str(told["server"])  # colours, as it is a terminal


def chat_on_a_terminal() -> tuple[list[int], str]:
    server = Terminal("echo", "chat", "serve")
    address = server.until(r"listening on (\S+)\r\n")[1]
    anna = Terminal("echo", "chat", "join", "--name", "ANNA", "--quiet", address)
    anna.until("welcome, ANNA; you are alone")
    ben = Terminal("echo", "chat", "join", "--name", "BEN", address)
    ben.until("here are: ANNA")
    anna.until("BEN has joined")
    ben.type("good morning\n")
    line = anna.until(r"(.*)BEN: good morning")[1]
    ben.type("\x03")
    anna.until("BEN has left")
    codes = [ben.code()]
    server.type("\x03")
    anna.until("the server has ended the chat")
    return [*codes, server.code(), anna.code()], line


def test_a_chat_on_terminals_and_ctrl_c_says_goodbye() -> None:
    needs_private_world()
    codes, line = in_private_world(chat_on_a_terminal)
    assert codes == [0, 0, 0]
    assert line.endswith("> \r\x1b[K")  # the prompt gives way to what the others say


def invitations() -> list[str]:
    told = []
    for host in ("127.0.0.1", "::1", "0.0.0.0"):
        with Program("serve", "--host", host, "--port", "8000", "--clients", "1") as server:
            server.address()
            run_program("connect", "[::1]:8000" if host == "::1" else "8000", "--message", "x")
            told.append(server.end().err)
    return [line for err in told for line in err.splitlines() if line.startswith("in another terminal")]


def test_the_command_for_the_other_terminal_can_be_typed_into_any_shell() -> None:
    needs_private_world()
    command = "in another terminal: handshake-inspect echo connect "
    assert in_private_world(invitations) == [
        f"{command}127.0.0.1:8000",
        f"{command}'[::1]:8000'",  # zsh would look for files of such a name
        f"{command}127.0.0.1:8000",
    ]


def client_interrupted() -> int:
    with Program("serve") as server, Program("connect", server.address()) as client:
        client.type("x\n")
        client.line()
        return client.end(signal.SIGINT).code


def test_ctrl_c_ends_a_client_with_130() -> None:
    needs_private_world()
    assert in_private_world(client_interrupted) == 130


def test_help_imports_neither_numpy_nor_scapy_nor_rich() -> None:
    program = "import sys, runpy\nsys.argv[:] = ['x', 'echo', 'connect', '--help']\n"
    program += "try: runpy.run_module('handshake_inspect', run_name='__main__')\nexcept SystemExit: pass\n"
    program += "print(sorted({'numpy', 'scapy', 'rich'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def programs_of(system: str) -> list[tuple[int, str]]:
    """A TCP echo, and a chat, whose programs all find what that system has."""
    ended = []
    with Program("serve", "--clients", "1", system=system) as server:
        address = server.address()
        ended.append(run_program("connect", address, "--message", "bith", "--quiet", system=system))
        ended.append(server.end())
    with Program("chat", "serve", "--people", "1", system=system) as server:
        address = server.address()
        arguments = ["--name", "ANNA", "--message", "hello", "--quiet"]
        ended.append(run_program("chat", "join", address, *arguments, system=system))
        ended.append(server.end())
    ended.append(run_program("connect", address, system=system))
    return [(one.code, one.out + one.err * (one.code != 0)) for one in ended]


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_the_programs_run_on_other_systems_too(system: str) -> None:
    needs_private_world()
    *ended, typed = in_private_world(programs_of, system)
    assert ended == [
        (0, "BITH\n"),
        (0, ended[1][1]),
        (0, "* welcome, ANNA; you are alone\n"),
        (0, ended[3][1]),
    ]
    assert ended[1][1].endswith("1 client served, 4 octets echoed\n")
    assert ended[3][1].endswith("1 person came, 1 message\n")
    assert ("say it with --message" in typed[1]) is (system == "win32")
