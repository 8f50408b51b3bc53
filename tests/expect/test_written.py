"""A file of expectations: where it lies, and in which line of it a key stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect.expect.beside import beside
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.expect.written import FileLines, read


@pytest.mark.parametrize(
    ("capture", "path"),
    [
        ("echo.pcap", "echo.expect.toml"),
        ("a/b/echo.server.pcapng", "a/b/echo.server.expect.toml"),
        ("echo.pcap.gz", "echo.expect.toml"),
        ("echo.pcapng.zst", "echo.expect.toml"),
        ("echo.cap.xz", "echo.expect.toml"),
        ("echo", "echo.expect.toml"),
        ("dump.1", "dump.1.expect.toml"),
        (".pcap", ".pcap.expect.toml"),
        ("écho\n.pcap", "écho\n.expect.toml"),
    ],
)
def test_it_lies_beside_the_capture(capture: str, path: str) -> None:
    assert beside(capture) == Path(path)


TEXT = '''\ufeffschema = 1 # [[expect]]
no_findings = "warn"
"connections".min = 1
[[expect]]
where = """
port = 80 '"""
  'port'  =  80
states . client = "CLOSED"
"states"."server" = "LISTEN"
[expect.octets]
client = 1
server = { min = 1 } # "
# it's """
[[ "expect" ]]
[ expect . "states" ]
originator = [
  "CLOSED",
]
[expect.octets]
[other]
port = 1
'''


@pytest.mark.parametrize(
    ("table", "key", "end", "line"),
    [
        (None, "schema", None, 1),
        (None, "no_findings", None, 2),
        (None, "connections", None, 3),
        (None, "other", None, 20),
        (None, None, None, 1),
        (None, "exchanges", None, 1),
        (0, None, None, 4),
        (0, "where", None, 5),
        (0, "port", None, 7),
        (0, "states", None, 8),
        (0, "states", "client", 8),
        (0, "states", "server", 9),
        (0, "octets", None, 10),
        (0, "octets", "client", 11),
        (0, "octets", "server", 12),
        (0, "handshake", None, 4),
        (1, None, None, 14),
        (1, "states", "originator", 16),
        (1, "states", "responder", 15),
        (1, "octets", "client", 19),
        (2, "port", None, 1),
    ],
)
def test_a_key_stands_in_its_line(table: int | None, key: str | None, end: str | None, line: int) -> None:
    place = FileLines("x.expect.toml", TEXT).place(table, key, end)
    assert str(place) == f"x.expect.toml:{line}"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfes\x00"), "octet 0 is no UTF-8: it is no TOML file"),
    ],
)
def test_what_is_no_file_of_text_is_refused(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "x.expect.toml"
    assert callable(make)
    make(path)
    with pytest.raises(ExpectationError) as error:
        read(path)
    assert str(error.value) == f"{path}: {says}"
