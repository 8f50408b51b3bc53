"""The ladder with the way between two places: what stands where, at any width."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handshake_inspect.joined.join import Joined, join
from handshake_inspect.joined.model import Moment
from handshake_inspect.views.joined_folding import FoldedFlights, fold_flights
from handshake_inspect.views.joined_ladder import joined_ladder
from handshake_inspect.views.ladder_cells import LadderOptions
from tests.joined.test_recorded import NAMES, joined

#: As in `test_recorded`, whose joined captures are drawn.
pytestmark = pytest.mark.xdist_group("joined")

PCAPS = Path(__file__).parents[2] / "pcaps"


def drawn(name: str, width: int = 100) -> list[str]:
    found = joined(name)
    return [line.plain for line in joined_ladder(found[0], found.moments(0), LadderOptions(width=width))]


def rows(name: str) -> list[str]:
    """Return the rows of a ladder without times, which every recording has anew, and runs of one sign as one."""
    lines = drawn(name, 80)
    begin = next(at for at, line in enumerate(lines) if line.split()[:1] == ["ms"])
    timeless = (re.sub(r"^ *\d+\.\d{3}", "", line).strip() for line in lines[begin + 1 : lines.index("", begin)])
    return [re.sub(r"([─╌ ])\1+", r"\1", line) for line in timeless]


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_wider_than_the_terminal(name: str) -> None:
    for width in (80, 140):
        assert max(map(len, drawn(name, width))) <= width


def test_what_has_no_room_on_an_arrow_stands_below_it_on_its_senders_side() -> None:
    lines = drawn("lost-fin", 60)
    assert not [line for line in lines[3:] if "…" in line.partition("●")[2]]
    number = next(number for number, line in enumerate(lines) if "◀" in line and "PSH,ACK" in line)
    assert lines[number].endswith("◀─────── PSH,ACK seq=y+1 ─ ●")
    assert lines[number + 1] == " " * (len(lines[number]) - 19) + "ack=x+1+4 len=4"


def test_what_dies_ends_on_the_way() -> None:
    assert rows("lost-syn")[:3] == ["CLOSED LISTEN", "SYN-SENT ● ─ SYN seq=x ─✗", "● ─ SYN seq=x again ─▶ ●"]
    assert any("✗ died on the way" in line for line in drawn("lost-syn"))


def test_what_dies_on_the_way_back() -> None:
    (died,) = [line for line in rows("lost-syn-ack") if "✗" in line]
    assert died == "✗─ SYN,ACK seq=y ack=x+1 ─ ● SYN-RECEIVED"


def test_what_crosses_is_seen_to_cross() -> None:
    """Simultaneous close: both FINs are under way before either arrives."""
    assert [line for line in rows("simultaneous-close") if "FIN," in line] == [
        "FIN-WAIT-1 ● ─ FIN,ACK seq=u ack=y+1+4 ╌",
        "╌ FIN,ACK seq=w ack=u ─ ● FIN-WAIT-1",
        "╌ FIN,ACK seq=u ack=y+1+4 ─▶ ●",
        "● ◀─ FIN,ACK seq=w ack=u ╌",
    ]


def test_a_copy_and_a_forgery_begin_on_the_way() -> None:
    lines = rows("duplicate-data")
    assert lines[lines.index("a copy, made on the way") - 1] == "─ PSH,ACK seq=x+1 ack=y+1 len=4 ─▶ ●"
    lines = rows("injected-reset")
    at = next(at for at, line in enumerate(lines) if line.startswith("not sent by the client"))
    assert lines[at - 1].startswith("─ RST seq=x+1+504 ─▶ ●")


def test_what_was_changed_stands_below_it() -> None:
    lines = rows("mss-clamped")
    below = [lines[at + 1] for at, line in enumerate(lines) if "SYN" in line and "seq=" in line]
    assert below == ["MSS 1460 → 1200"] * 2


def test_letters_are_the_same_on_both_sides_where_both_opened() -> None:
    lines = rows("simultaneous-open")
    assert "╌ SYN seq=y ─ ● SYN-SENT" in lines
    assert "● ◀─ SYN seq=y ╌" in lines


def test_times_on_the_right_and_frames_come_with_the_width() -> None:
    heads = {width: next(line for line in drawn("nat", width) if "client  " in line).split() for width in (80, 100)}
    assert heads[80].count("ms") == 1
    assert (heads[100].count("ms"), heads[100].count("frame")) == (2, 2)


def test_only_one_place_saw_it() -> None:
    died = ["CLOSED", "SYN-SENT ● ─ SYN seq=x ─✗", *["● ─ SYN seq=x again ─✗"] * 2]
    assert rows("unanswered-exponential") == died
    assert "by the order of the files alone" in " ".join(" ".join(drawn("unanswered-exponential")).split())


def test_long_transfers_are_folded() -> None:
    moments = list(joined("small-mss").moments(0))
    quiet = next(one for one in moments if one.segment.step.payload_octets and one.arrived)
    at = moments.index(quiet) + 1
    shown = fold_flights([*moments[:at], *[quiet] * 40, *moments[at:]])
    folded = [row for row in shown if isinstance(row, FoldedFlights)]
    assert sum(len(one.moments) for one in folded) + len(shown) - len(folded) == len(moments) + 40
    assert max(one.segments for one in folded) >= 34
    assert max(one.octets(quiet.segment.sender) for one in folded) >= 34 * quiet.segment.step.payload_octets


def test_every_segment_is_drawn_once_or_sent_and_arrived() -> None:
    found: Joined = join(PCAPS / "swapped-data.pcap", PCAPS / "swapped-data.server.pcap")
    moments = found.moments(0)
    by_segment: dict[int, list[Moment]] = {}
    for one in moments:
        by_segment.setdefault(id(one.segment), []).append(one)
    for some in by_segment.values():
        assert sum(one.sent for one in some) == sum(one.arrived for one in some) == 1
