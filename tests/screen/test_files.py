"""`browse` on a screen that is no terminal: what is listed and read, and what keys and the mouse do."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.app import ComposeResult
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Input

from handshake_inspect.capture.files import open_capture
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.inspector import inspect
from handshake_inspect.screen.app import PAUSE_S, ConnectionsApp
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.files import Files
from handshake_inspect.screen.lines import Line
from handshake_inspect.screen.sight import ListSnapshot
from tests.capture.builders import enhanced, interface, section
from tests.capture.builders import names as resolved
from tests.cli.running import PCAPS
from tests.screen.showing import Shown, files_of, show

NAMES = ("four-way.pcap", "half-close.pcap", "refused.pcap", "close-wait-held.pcap", "simultaneous-close.pcap")


@pytest.fixture
def source() -> Iterator[Files]:
    with files_of(NAMES) as files:
        yield files


def test_it_lists_the_connections_and_draws_the_ladder_of_the_first(source: Files) -> None:
    first = source.sight.connections[0]

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        assert str(first.originator) in shown.listed[1]
        assert first.handshake.kind in shown.listed[1]
        assert first.teardown.kind in shown.listed[1]
        assert len(shown.listed) - 1 == len(source.sight.connections)
        for end in (first.states.originator, first.states.responder):
            assert end is not None
            assert all(state in shown.text for state in end)

    show(source, check)


def test_a_size_that_is_told_before_anything_stands_there_is_heeded(
    source: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the terminal's size may come first: it ended in a traceback."""
    compose = ConnectionsApp.compose

    def late(app: ConnectionsApp) -> ComposeResult:
        app.on_resize(Resize(Size(180, 36), Size(180, 36)))
        yield from compose(app)

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        assert shown.app.body.has_class("beside")

    monkeypatch.setattr(ConnectionsApp, "compose", late)
    show(source, check, (180, 36))


def test_the_ladder_is_that_of_the_line_that_is_chosen(source: Files) -> None:
    async def check(shown: Shown) -> None:
        for key, stream in (("down", 1), ("j", 2), ("k", 1), ("end", len(source.sight.streams) - 1), ("home", 0)):
            await shown.press(key)
            await shown.until(lambda stream=stream: shown.text.startswith(f"stream {stream} of"))  # type: ignore[misc]

    show(source, check)


def test_a_filter_of_words(source: Files) -> None:
    refused = [one for one in source.sight.connections if one.handshake.kind == "refused"]

    async def check(shown: Shown) -> None:
        await shown.press("slash")
        await shown.type("refused")
        await shown.until(lambda: len(shown.listed) - 1 == len(refused))
        await shown.until(lambda: shown.text.startswith(f"stream {refused[0].stream} of"))
        assert f"{len(refused)} of {len(source.sight.connections)} connections" in shown.app.head.plain
        await shown.press("escape")
        await shown.until(lambda: len(shown.listed) - 1 == len(source.sight.connections))

    show(source, check)


def test_a_filter_holds_as_it_is_typed_and_escape_takes_it_back(source: Files) -> None:
    every = source.sight.streams.tolist()
    refused = [one.stream for one in source.sight.connections if one.handshake.kind == "refused"]

    async def check(shown: Shown) -> None:
        def listed() -> list[int]:
            return [*map(int, shown.app.list.streams)]

        await shown.press("slash", *"refus")
        await shown.until(lambda: listed() == refused)
        assert "Enter keeps it" in shown.app.foot.plain
        await shown.press("escape")
        await shown.until(lambda: listed() == every)
        await shown.press("slash", *"refused", "enter")
        assert shown.app.query_.text == "refused"  # at once
        await shown.press("slash", *["backspace"] * 7)
        await shown.until(lambda: listed() == every)
        await shown.press("escape")
        await shown.until(lambda: listed() == refused)

    show(source, check)


def test_half_a_condition_waits_for_the_rest(source: Files) -> None:
    four_way = [one.stream for one in source.sight.connections if one.teardown.kind == "four-way"]

    async def check(shown: Shown) -> None:
        typed = shown.app.query_one("#typed", Input)
        await shown.press("slash")
        typed.value = 'teardown.kind == "four-way"'
        await shown.until(lambda: shown.app.list.streams.tolist() == four_way)
        typed.value = 'teardown.kind == "four-way" and octets.originator >'
        await shown.pilot.pause(2 * PAUSE_S)
        assert shown.app.list.streams.tolist() == four_way
        assert "Enter keeps it" in shown.app.foot.plain
        typed.value += " 1M"
        await shown.until(lambda: not len(shown.app.list.streams))

    show(source, check)


def test_keys_that_come_at_once_are_taken_one_after_another(source: Files) -> None:
    async def check(shown: Shown) -> None:
        await shown.press("w")
        shown.press_at_once("ctrl+u", "z", "backspace", *"four", "home", *"x-", "end", "1")
        await shown.until(lambda: shown.app.query_one("#typed", Input).value == "x-four1")

    show(source, check)


def test_what_stands_there_at_first_is_gone_on_with(source: Files) -> None:
    async def check(shown: Shown) -> None:
        typed = shown.app.query_one("#typed", Input)
        await shown.press("slash", *"refused", "home", "enter")
        for key, text in (("slash", "refused"), ("w", f"stream-{shown.app.list.stream}.pcapng")):
            await shown.press(key, "z")
            assert typed.value == f"{text}z"
            await shown.press("home", "escape")

    show(source, check)


@pytest.mark.parametrize(("key", "says"), [("slash", "filter"), ("f", "find"), ("w", "write to")])
def test_what_is_typed_stands_in_one_line_behind_what_is_asked_for(source: Files, key: str, says: str) -> None:
    async def check(shown: Shown) -> None:
        await shown.press(key)
        await shown.pilot.pause()
        asking, typed = shown.app.asking, shown.app.query_one("#typed", Input)
        assert asking.size.height == typed.size.height == 1
        assert asking.query_one("#asked", Line).plain.strip() == says
        assert asking.region.x <= typed.region.x - len(says)
        assert typed.size.width > 50

    show(source, check)


def test_a_filter_that_is_a_condition_and_one_that_is_wrong(source: Files) -> None:
    four_way = [one.stream for one in source.sight.connections if one.teardown.kind == "four-way"]

    async def check(shown: Shown) -> None:
        await shown.press("slash")
        await shown.type('teardown.kind == "four-way"')
        await shown.until(lambda: shown.app.list.streams.tolist() == four_way)
        await shown.press("slash")
        await shown.type('teardown.kid == "four-way"')
        await shown.until(lambda: "teardown.kid" in shown.app.foot.plain)
        assert shown.app.list.streams.tolist() == four_way

    show(source, check)


def test_sorting_by_keys_and_by_the_heading(source: Files) -> None:
    connections = source.sight.connections
    by_octets = sorted(connections, key=lambda one: one.octets.originator + one.octets.responder)

    async def check(shown: Shown) -> None:
        at = shown.listed[0].index("octets")
        await shown.pilot.click("#list", offset=(at + 2, 0))
        await shown.until(lambda: shown.app.list.streams.tolist() == [one.stream for one in by_octets])
        assert "octets ▲" in shown.listed[0]
        await shown.press("r")
        await shown.until(lambda: "octets ▼" in shown.listed[0])
        assert shown.app.list.streams[0] == by_octets[-1].stream
        await shown.press("S", "S", "S", "S", "S", "S")
        await shown.until(lambda: "▲" not in shown.listed[0] and "▼" not in shown.listed[0])
        await shown.press("s")
        await shown.until(lambda: "originator ▲" in shown.listed[0])

    show(source, check, size=(160, 36))


def test_finding_leaves_the_others_listed(source: Files) -> None:
    connections = source.sight.connections
    wanted = [one.stream for one in connections if one.teardown.kind == "simultaneous-close"]

    async def check(shown: Shown) -> None:
        await shown.press("f")
        await shown.type("simultaneous-close")
        await shown.until(lambda: shown.app.list.stream == wanted[0])
        assert len(shown.app.list.streams) == len(connections)
        await shown.press("n")
        await shown.until(lambda: shown.app.list.stream == wanted[1 % len(wanted)])

    show(source, check)


def test_what_was_found_is_explained(source: Files) -> None:
    telling = next(one for one in source.sight.connections if one.findings)

    async def check(shown: Shown) -> None:
        await shown.press("e")
        await shown.until(lambda: "Nothing was found" in shown.text or telling.findings[0].code in shown.text)
        shown.app.list.choose(telling.stream)
        await shown.until(lambda: telling.findings[0].message.split()[0] in shown.text)
        await shown.until(lambda: "RFC" in shown.text)

    show(source, check)


def test_a_connection_is_written_to_a_file(source: Files, tmp_path: Path) -> None:
    target = tmp_path / "one.pcap"

    async def check(shown: Shown) -> None:
        for said in ("11 frames saved", "is there already"):
            await shown.press("w")
            await shown.type(str(target))
            await shown.until(lambda said=said: said in shown.app.foot.plain)  # type: ignore[misc]

    show(source, check, size=(200, 40))
    (saved,) = inspect(target).connections
    assert saved.states == source.sight.connections[0].states


@pytest.mark.parametrize("target", ["x" * 300, "no/such/folder/x.pcap"])
def test_what_cannot_be_written_is_said_in_one_line(source: Files, target: str) -> None:
    async def check(shown: Shown) -> None:
        await shown.press("w")
        await shown.type(target)
        await shown.until(lambda: re.search("File name too long|No such file", shown.app.foot.plain))

    show(source, check)


def test_a_capture_that_changed_or_vanished_is_said_in_one_line(tmp_path: Path, monkeypatch: Any) -> None:
    path, target = Path(shutil.copy(PCAPS / "four-way.pcap", tmp_path)), tmp_path / "x.pcap"

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        path.write_bytes(path.read_bytes()[:24])
        await shown.press("w")
        await shown.type(str(target))
        await shown.until(lambda: "are not in it any more" in shown.app.foot.plain)
        path.unlink()
        await shown.press("t")
        await shown.until(lambda: f"{path}: cannot be opened: No such file" in "".join(shown.text.split("\n  ")))
        monkeypatch.setattr(source, "told", lambda *_: (tmp_path / "place").read_bytes())
        await shown.press("t")
        await shown.until(lambda: "No such file or directory: " in shown.text)

    with files_of(["four-way.pcap"], tmp_path) as source:
        show(source, check, size=(250, 40))
    assert not target.exists()


def test_long_names_of_hosts_leave_the_ladder_where_it_is(tmp_path: Path) -> None:
    with open_capture(PCAPS / "four-way.pcap") as records:
        frames = [one.raw(row) for one in records for row in range(len(one))]
    known = bytes([127, 0, 0, 1]) + b"".join(letter * 250 + b"\0" for letter in (b"a", b"b", b"c"))
    blocks = [enhanced(one.octets, one.original, one.time_ns // 1000) for one in frames]
    octets = b"".join([section(), interface(frames[0].link_type), resolved([(1, known)]), *blocks])
    (tmp_path / "named.pcapng").write_bytes(octets)

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        above = shown.text.partition("LISTEN")[0]
        assert "127.0.0.1 is aaaa" in above
        assert "…" in above
        assert above.count("\n") < 12

    with files_of(["named.pcapng"], tmp_path) as source:
        show(source, check, size=(80, 30))


def test_the_command_that_shows_it_is_copied(source: Files) -> None:
    async def check(shown: Shown) -> None:
        await shown.press("down", "c")
        assert shown.app.clipboard.startswith("handshake-inspect show ")
        assert shown.app.clipboard.endswith(" -s 1")

    show(source, check)


def test_what_was_said_goes_with_the_next_key(source: Files) -> None:
    async def check(shown: Shown) -> None:
        await shown.press("o")
        assert "no command is watched" in shown.app.foot.plain
        await shown.press("down")
        assert "? help" in shown.app.foot.plain
        await shown.press("slash")
        await shown.type("x == ")
        await shown.until(lambda: "Esc leaves it" not in shown.app.foot.plain)
        await shown.press("escape")
        assert "? help" in shown.app.foot.plain

    show(source, check)


def test_damage_is_told_and_what_is_no_tcp(tmp_path: Path) -> None:
    (tmp_path / "cut.pcap").write_bytes((PCAPS / "four-way.pcap").read_bytes()[:300])

    async def check(shown: Shown) -> None:
        assert "damaged" in shown.app.head.plain
        await shown.press("i")
        await shown.until(lambda: "damaged at octet 286" in shown.text)
        await shown.press("escape")
        await shown.until(lambda: shown.text.startswith("stream 0"))

    with files_of(["cut.pcap"], tmp_path) as cut:
        show(cut, check)

    async def check_udp(shown: Shown) -> None:
        await shown.until(lambda: "2 datagrams" in shown.text)

    with files_of(["udp.pcap"]) as udp:
        show(udp, check_udp)


def test_a_long_name_and_a_long_filter_leave_room_for_the_rest(tmp_path: Path) -> None:
    """At 80 columns the line ended in `● 8 remarks  i`."""
    folder = tmp_path / ("of-a-long-name-" * 4)
    folder.mkdir()
    (folder / "cut-in-the-middle.pcap").write_bytes((PCAPS / "four-way.pcap").read_bytes()[:300])

    async def check(shown: Shown) -> None:
        assert shown.app.head.render_line(0).text.strip().endswith("✗ damaged  i tells")
        assert "middle.pcap  ·  1 connection" in shown.app.head.render_line(0).text
        await shown.press("slash")
        await shown.type("originator.port > 0 and responder.port > 0 and octets.originator >= 0")
        await shown.until(lambda: "filter originator" in shown.app.head.render_line(0).text)
        assert shown.app.head.render_line(0).text.strip().endswith("…  ·  ✗ damaged  i tells")

    with files_of(["cut-in-the-middle.pcap"], folder) as cut:
        show(cut, check, (80, 24))


def test_a_filter_that_leaves_out_what_was_chosen_begins_above(source: Files) -> None:
    other = int(source.sight.streams[2])

    async def check(shown: Shown) -> None:
        shown.app.list.choose(other)
        await shown.press("slash")
        await shown.type(f"stream != {other}")
        await shown.until(lambda: len(shown.app.list.streams) == len(source.sight.streams) - 1)
        assert shown.app.list.stream == shown.app.list.streams[0]

    show(source, check)


def test_where_the_filter_leaves_nothing_it_is_said_how_it_goes(source: Files) -> None:
    async def check(shown: Shown) -> None:
        await shown.press("slash")
        await shown.type("nowhere")
        await shown.until(lambda: not len(shown.app.list.streams) and "without the filter" in shown.title)
        await shown.press("escape")
        await shown.until(lambda: shown.text.startswith("stream 0"))

    show(source, check)


def test_a_clock_that_jumped_back_tells_no_duration(tmp_path: Path) -> None:
    octets = bytearray((PCAPS / "four-way.pcap").read_bytes())
    at, records = 24, 0
    while at < len(octets):  # the first half a minute later than the rest
        seconds, _, captured, _ = struct.unpack_from("<4I", octets, at)
        struct.pack_into("<I", octets, at, seconds + 60 * (records < 5))
        at, records = at + 16 + captured, records + 1
    (tmp_path / "jump.pcap").write_bytes(octets)

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        at = shown.listed[0].index("lasted")
        assert shown.listed[1][at - 2 : at + 6].split() == ["-"]

    with files_of(["jump.pcap"], tmp_path) as jump:
        assert jump.sight.connections.lasted_ns(np.array([0])).tolist() == [NONE]
        show(jump, check)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)])
def test_ports_are_never_cut(size: tuple[int, int]) -> None:
    with files_of(("ipv6.pcap", "four-way.pcap", "syn-flood.pcap")) as files:
        connections = files.sight.connections

        async def check(shown: Shown) -> None:
            await shown.until(lambda: "SYN" in shown.text)
            for line, one in zip(shown.listed[1:], connections, strict=False):
                assert f":{one.originator.port} " in line
                assert f":{one.responder.port} " in line
            assert shown.title.endswith(f":{connections[0].responder.port}")

        show(files, check, size=size)


def test_help_and_the_text_alone(source: Files) -> None:
    async def check(shown: Shown) -> None:
        await shown.press("question_mark")
        await shown.until(lambda: "read --where" in shown.text)
        await shown.press("escape")
        await shown.until(lambda: shown.text.startswith("stream 0"))
        await shown.press("enter")
        await shown.until(lambda: shown.app.list.size.height == 0 or not shown.app.list.display)
        await shown.press("escape")
        await shown.until(lambda: shown.app.list.has_focus)

    show(source, check)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)])
def test_it_fits_terminals_of_any_size(source: Files, size: tuple[int, int]) -> None:
    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        for y in range(shown.app.list.size.height):
            assert shown.app.list.render_line(y).cell_length == shown.app.list.scrollable_content_region.width
        assert f":{source.sight.connections[0].originator.port} " in shown.listed[1]

    show(source, check, size=size)


def test_without_colour_there_is_none(source: Files) -> None:
    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        styles = [segment.style for y in range(8) for segment in shown.app.list.render_line(y) if segment.style]
        colours = {str(colour.name) for style in styles for colour in (style.color, style.bgcolor) if colour}
        assert colours <= {"default"}

    show(source, check, colours=Colours(has_colour=False))


def test_names_that_are_made_to_harm_are_text(tmp_path: Path) -> None:
    hostile = "[red]\x1b]0;x\x07\u202eevil[-].pcap"
    shutil.copy(PCAPS / "four-way.pcap", tmp_path / hostile)
    shutil.copy(PCAPS / "refused.pcap", tmp_path / "refused.pcap")

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.text)
        for text in (shown.all, "\n".join(shown.app.text.render_line(y).text for y in range(6))):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
        assert "[red]\\x1b" in shown.text

    with files_of([hostile, "refused.pcap"], tmp_path) as source:
        show(source, check, size=(200, 40))


def test_of_a_million_lines_those_in_view_are_made(source: Files) -> None:
    made = 0
    connections = source.sight.connections
    of_streams = connections.of_streams

    def counted(streams: np.ndarray[tuple[int], np.dtype[np.int64]]) -> object:
        nonlocal made
        made += len(streams)
        return of_streams(streams)

    connections.of_streams = counted  # type: ignore[method-assign, assignment]
    source.sight = ListSnapshot(connections, np.resize(connections.streams, 1_000_000), source.sight.at_ns)

    async def check(shown: Shown) -> None:
        await shown.press("end")
        await shown.until(lambda: shown.app.list.scroll_offset.y > 999_000)
        assert shown.app.list.streams[-1] == shown.app.list.stream

    show(source, check)
    assert made < 2000
