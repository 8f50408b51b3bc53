"""The live screen: what comes, what the clock does, pause, what is kept, and how it ends; without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import Records
from handshake_inspect.inspector import inspect
from handshake_inspect.screen.app import ConnectionsApp
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.live import Live
from handshake_inspect.screen.recent import Recent
from tests.screen.feed import SECOND_NS, Feed, Interface, frames_of, show_live
from tests.screen.showing import Shown


def test_states_change_and_the_ladder_grows_as_segments_come() -> None:
    feed, frames = Feed(), frames_of("four-way.pcap")

    async def check(shown: Shown) -> None:
        assert "0 connections" in shown.app.head.plain
        feed.put(*frames[:2])
        await shown.until(lambda: "SYN-SENT" in shown.listed[-1] and "SYN-RECEIVED" in shown.listed[-1])
        await shown.until(lambda: "half-open" in shown.listed[-1])
        await shown.until(lambda: "SYN-RECEIVED" in shown.text and "FIN" not in shown.text)
        feed.put(*frames[2:8])
        await shown.until(lambda: "FIN-WAIT-1" in shown.listed[-1])
        await shown.until(lambda: "FIN-WAIT-1" in shown.text)
        feed.put(*frames[8:])
        await shown.until(lambda: "TIME-WAIT" in shown.listed[-1] and "CLOSED" in shown.listed[-1])
        await shown.until(lambda: '"bith"' in shown.text)
        await shown.until(lambda: "11 segments" in shown.text)

    show_live(feed, check)


def test_time_wait_runs_out() -> None:
    feed = Feed()
    feed.put(*frames_of("four-way.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.listed[-1] and "███" in shown.listed[-1])
        (wait,) = shown.app.sight.connections[0].time_wait
        shown.app.paused_ns = wait.earliest_end_ns - 15 * SECOND_NS  # as it looks then
        assert "██······ 15 s" in shown.listed[-1]
        shown.app.paused_ns = wait.earliest_end_ns
        assert "TIME-WAIT" not in shown.listed[-1]
        assert "over 1:00 min" in shown.listed[-1] or "over 60 s" in shown.listed[-1]

    show_live(feed, check)


def test_the_last_line_is_followed_until_another_is_chosen() -> None:
    feed = Feed()
    feed.put(*frames_of("four-way.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: shown.app.list.stream == 0)
        feed.put(*frames_of("refused.pcap"))
        await shown.until(lambda: shown.app.list.stream == 1)
        await shown.press("up")
        feed.put(*frames_of("half-close.pcap"))
        await shown.until(lambda: len(shown.listed) == 4)
        assert shown.app.list.stream == 0

    show_live(feed, check)


def test_who_has_scrolled_away_is_left_there() -> None:
    feed = Feed()
    for name in ("four-way", "half-close", "half-closed", "three-segment", "unanswered", "simultaneous-close"):
        feed.put(*frames_of(f"{name}.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: shown.app.list.stream == 5 and shown.app.list.scroll_offset.y > 0)
        last = shown.app.list.stream
        shown.app.list.scroll_to(y=0, animate=False, immediate=True)
        feed.put(*frames_of("refused.pcap"))
        await shown.until(lambda: shown.app.list.stream != last)
        assert shown.app.list.scroll_offset.y == 0

    show_live(feed, check, size=(100, 14))


def test_a_narrow_terminal_has_the_states() -> None:
    feed = Feed()
    feed.put(*frames_of("four-way.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "TIME-WAIT" in shown.listed[-1] and "CLOSED" in shown.listed[-1])
        assert "…0.1:47304 → 127.0.0.1:45243" in " ".join(shown.listed[-1].split()), "the server is named in full"

    show_live(feed, check, size=(60, 20))


def test_a_pause_is_of_the_screen_not_of_the_capture() -> None:
    feed = Feed()

    async def check(shown: Shown) -> None:
        await shown.press("p")
        feed.put(*frames_of("four-way.pcap"))
        await shown.until(lambda: shown.app.source.sight.connections)
        shown.app._look()
        shown.app._draw()
        assert "0 connections" in shown.app.head.plain
        assert "PAUSED" in shown.app.head.plain
        await shown.press("p")
        await shown.until(lambda: "1 connection" in shown.app.head.plain)

    show_live(feed, check)


def test_datagrams_are_counted_and_who_sees_nothing_else_is_told_why() -> None:
    feed = Feed()
    feed.put(*frames_of("udp.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "0 connections  ·  2 datagrams of UDP" in shown.app.head.plain)
        await shown.until(lambda: "sniff --udp prints a line for each" in shown.text)
        feed.put(*frames_of("four-way.pcap"))
        await shown.until(lambda: "four-way" in shown.text)

    show_live(feed, check)


def test_what_was_dropped_and_how_much_comes_stands_below() -> None:
    feed = Feed()
    feed.interface.dropped = 1234
    feed.put(*frames_of("four-way.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "1,234 dropped" in shown.app.foot.plain)
        assert "segments/s" in shown.app.foot.plain

    show_live(feed, check)


def test_what_is_said_has_the_whole_line() -> None:
    """At 80 columns `0 segments/s` stood beside the first 51 of it."""
    feed = Feed()
    feed.put(*frames_of("four-way.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: shown.app.list.stream == 0 and "pause" in shown.app.foot.render_line(0).text)
        assert "…" not in shown.app.foot.render_line(0).text
        await shown.press("c")
        said = "nobody else can see a live capture: w writes the connection to a file"
        assert shown.app.foot.render_line(0).text.strip() == said
        await shown.press("w")
        await shown.type("/nowhere/x.pcap")
        await shown.until(lambda: "cannot be written: No such file or" in shown.app.foot.render_line(0).text)
        await shown.press("down")
        assert "segments/s" in shown.app.foot.render_line(0).text

    show_live(feed, check, size=(80, 24))


def test_what_was_seen_is_written_all_of_it_or_one_connection(tmp_path: Path) -> None:
    feed = Feed()
    feed.put(*frames_of("four-way.pcap"), *frames_of("refused.pcap"))

    async def check(shown: Shown) -> None:
        await shown.until(lambda: shown.app.list.stream == 1)
        for key, name, frames in (("w", "one.pcapng", 2), ("W", "all.pcapng", 13)):
            await shown.press(key)
            await shown.type(str(tmp_path / name))
            await shown.until(lambda said=f"{frames} frames saved": said in shown.app.foot.plain)  # type: ignore[misc]

    show_live(feed, check, size=(200, 40))
    assert [one.handshake.kind for one in inspect(tmp_path / "one.pcapng").connections] == ["refused"]
    assert len(inspect(tmp_path / "all.pcapng").connections) == 2


def test_a_question_is_answered_from_what_the_last_block_left() -> None:
    """Not from before it: what was found then may have been let go with that block."""
    feed, (first, second, *_) = Feed(), frames_of("four-way.pcap")
    live = Live(feed.watch)
    told = []

    def blocks() -> Iterator[Records | None]:
        yield first
        yield second
        told.append(live.desk.ask(lambda: live.told(0, 100)))  # just before it answers
        yield None

    feed.watch.follow(live.attended(blocks()))
    assert told[0].result().connection.segments.responder == 1


def test_it_ends_with_the_capture() -> None:
    feed = Feed()

    async def check(shown: Shown) -> None:
        feed.end()
        await shown.until(lambda: not shown.app.is_running)

    show_live(feed, check)


def test_it_stays_where_a_command_has_ended_and_still_tells() -> None:
    feed = Feed()
    feed.put(*frames_of("four-way.pcap"), *frames_of("refused.pcap"))
    feed.end()

    async def check(shown: Shown) -> None:
        await shown.until(lambda: "sh ended with exit status 7" in shown.app.head.plain and len(shown.listed) == 3)
        await shown.press("home")
        await shown.until(lambda: shown.text.startswith("stream 0"))

    show_live(feed, check, ended="sh ended with exit status 7")


def test_an_error_of_the_capture_ends_the_screen_and_is_raised() -> None:
    class BrokenError(Exception):
        pass

    live = Live(Feed().watch)

    def follow() -> None:
        raise BrokenError

    def run(live: Live) -> None:
        async def ended() -> None:
            app = ConnectionsApp(live, Colours())
            async with app.run_test() as pilot:
                await Shown(app, pilot).until(lambda: not app.is_running)

        asyncio.run(ended())

    with pytest.raises(BrokenError):
        live.shown(follow, run, lambda: None)


def test_the_oldest_frames_go_when_there_is_no_room() -> None:
    frames = frames_of("four-way.pcap")
    recent = Recent(kept_octets=500)
    for block in frames:
        recent.add(block)
    assert recent.taken == len(frames)
    kept = recent.frames({int(block.frame[0]) for block in frames})
    assert len(kept) == recent.taken - recent.gone < len(frames)
    assert kept[len(frames)].octets == frames[-1].raw(0).octets


def test_live_capture_has_what_the_screen_asks_of_it() -> None:
    assert {*vars(Interface())} <= {*dir(LiveCapture)} | {"interface", "interfaces", "frame_octets"}
