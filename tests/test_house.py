"""The house stands as drawn: data flows down, a module imports only from those above it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, get_origin

import pytest

import handshake_inspect

ROOT = Path(handshake_inspect.__file__).parent

#: Floors from top to bottom; a folder stands for all its modules. A module may import from floors above its own, and
#: within its own folder.
FLOORS = [
    ["plain", "arrays", "there"],
    ["tcp"],
    ["memory"],
    ["narrow"],
    ["table"],
    ["pairs"],
    ["renumbering"],
    ["jobs"],
    ["forks"],
    ["processes"],
    ["quantities", "cells", "sets"],
    ["archive"],
    ["capture"],
    ["connections"],
    ["datagram_runs"],
    ["datagrams"],
    ["exchanges"],
    ["overview", "places"],
    ["capture_reading"],
    ["findings"],
    ["inspection"],
    ["inspector"],
    ["spread"],
    ["indexed"],
    ["compared", "joined"],
    ["views"],
    ["conditions"],
    ["expect"],
    ["lab"],
    ["explain"],
    ["lesson"],
    ["screen"],
    ["cli"],
    ["testing"],
    ["pytest_plugin"],
    ["__main__"],
]
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}

#: Order of modules and folders inside some folders: each imports only from those before it.
CAPTURE = [
    "records", "about", "source", "remote", "ahead", "compressed", "formats", "excerpt", "files", "writing", "live",
    "headers", "fragments", "inflating", "scapy_side", "block_builder", "decode", "forked_reader", "positions",
    "frames", "pieces", "order", "summary", "merge", "inputs",
]  # fmt: skip
FORMATS = ["walk", "chained", "pcap", "snoop", "pcapng", "foreign"]
PCAPNG = ["blocks", "options", "interfaces", "packets", "notes", "reader"]
HEADERS = [
    "layers", "ip", "ordinary", "link", "serial", "link_types", "wlan", "gre", "l2tp", "udp_tunnels",
    "ip_tunnels", "options", "icmp", "transports",
]  # fmt: skip
WRITING = ["output", "pcap", "pcapng", "rotation"]
LIVE = ["interfaces", "filtering", "timestamps", "ring", "opening", "capture", "privileges"]
SCAPY_SIDE = ["layers", "places", "ethertypes", "links", "wlan", "tunnels", "quotes", "packets", "reader"]
CONNECTIONS = [
    "connection", "conversations", "moments", "copies", "covers", "splitting", "events", "zeek", "derived", "folding",
    "quotes", "quoted", "deciding", "steps", "connection_columns", "model", "sockets", "flat", "conn_log", "ledger",
    "offered", "decided_part", "analysis", "prepared", "over_time", "endless",
]  # fmt: skip
COPIES = ["packets", "runs", "rotation", "elsewhere", "copies"]
SPLITTING = ["rows", "reuse", "around", "syn_questions", "boundaries", "unwrapping", "split"]
EVENTS = ["fins", "numbers", "echoed_syns", "resets", "news", "events", "machine", "shapes", "kinds"]
ZEEK = ["reach", "gaps", "tokens", "rules", "in_step", "sizes", "uid"]
FOLDING = ["duplicates", "compact", "course", "steady", "seams", "repeats", "judged", "pool", "gather", "whereabouts"]
DECIDING = ["found", "answers", "waiting", "books", "twins", "behaviour", "verdict", "time_waits"]
STEPS = ["sacked", "sent_again", "step_rows", "sums", "steps", "present"]
LEDGER = ["at_once", "owing", "port_use", "ledger"]
OVER_TIME = ["attempts", "phases", "half_open", "openings"]
ENDLESS = ["streams", "run_clock", "retention", "looks", "attendance", "parts", "endless_analysis"]
FINDINGS = [
    "segments", "evidence", "option_lists", "run", "rule", "fin_answers", "unanswered", "opening", "third_segment",
    "fast_open", "retries", "syns", "numbers", "control_bits", "offers", "options", "segment_sizes", "extensions",
    "paths", "reset_causes", "resets", "reset_marks", "gone_ends", "injection", "closed_windows", "black_holes",
    "silence", "stalls", "closing", "half_closed", "late", "listeners", "scans", "time_wait", "sockets", "ports",
    "captures", "catalogue", "other_tools",
]  # fmt: skip
LAB = [
    "calls", "world", "echo", "programs", "segments", "altering", "hosts", "links", "rules", "relay", "wire",
    "router", "kernel", "bench", "checkpoint", "scenarios", "ground", "performing", "vantage", "plain", "session",
    "expected", "page", "replay", "record", "trials", "telling", "time_wait", "whose", "by_hand", "strace",
    "processes", "command",
]  # fmt: skip
BY_HAND = ["meanings", "echo_plans", "closing", "echo_server", "echo_client", "chat", "chat_server", "chat_client"]
COMMAND = ["refusals", "signals", "running", "run"]
KERNEL = [
    "sock_diag", "entry_table", "ring_buffer", "tracepoint", "account", "watch", "differences", "translation",
    "association", "uncaptured", "agreement",
]  # fmt: skip
TIME_WAIT = [
    "wheel", "jiffies", "counters", "following", "endings", "staying", "reckoning", "census", "observing", "binding",
]  # fmt: skip
EXPLAIN = [
    "page", "reading", "topics", "rules", "counterparts", "collected", "shipped", "excerpts", "moves",
    "arrows", "drawing", "rendering", "listing",
]  # fmt: skip
LESSON = ["fired", "question", "choices", "errors", "ending", "stops", "score", "telling"]
STRACE = ["lines", "arguments", "descriptors", "spelling", "sockets", "log", "causes", "beside"]
CONDITIONS = ["condition", "parts", "known", "parser", "moments", "selection"]
COMPARED = ["normal", "digests", "pairing", "difference", "alignment", "comparison", "golden"]
EXPECT = [
    "beside", "amounts", "subject", "claims", "keys", "places", "selecting", "alike", "expectations", "understanding",
    "written", "ladders", "matching", "recording", "updating", "checked", "reports",
]  # fmt: skip
INDEXED = ["identity", "typed", "making", "index"]
JOINED = [
    "vantage", "strangers", "pairing", "aligned", "times", "matching", "drift", "clocks", "pieces", "proofs", "fates",
    "changes", "ways", "comparison", "differences", "model", "errors", "described", "order", "spelling", "crossing",
    "join",
]  # fmt: skip
SCREEN = [
    "desk", "sight", "recent", "live", "files", "arranging", "colours", "terminal", "columns", "listing", "reading",
    "lines", "captions", "asking", "rates", "topics", "telling", "list_and_text", "app",
    "picture",
]  # fmt: skip
SPREAD = ["part", "sharing", "reduction", "whole", "run", "cluster"]
VIEWS = [
    "escape", "words", "verdict_lines", "styled", "palette", "short_sockets", "table", "address_names", "remarks",
    "segment_words",
    "ladder_layout", "finding_lines", "folding", "icmp_lines", "ladder_calls", "ladder_order", "ladder_states",
    "time_wait_lines", "account", "rungs", "ladder_rows", "ladder_cells", "ladder", "segment_line", "datagram_line",
    "exchange_lines", "unix_lines", "contract", "fields", "json_forms", "json_lists", "json_lines", "export",
    "zeek_log", "parquet", "finding_export", "ledger_rows", "ledger_export", "ledger_summary", "compact_rows",
    "golden", "compared_lines", "compared_ladders", "compared_export", "joined_folding", "joined_layout",
    "joined_account", "joined_summary", "joined_table", "joined_remarks", "joined_ladder", "joined_export",
    "pictures", "page",
]  # fmt: skip
PICTURES = ["markup", "words", "measured", "svg_layout", "svg_styles", "svg", "mermaid", "html"]
REPORTS = ["text", "as_json", "junit", "tap", "github"]
PAGE = ["embedded", "captured", "glance", "columns", "packing", "ladders", "charts", "parts", "document"]
CHARTS = [
    "drawn", "scales", "over_time", "half_open", "time_wait", "openings", "lanes", "packed", "timeline",
    "sections",
]  # fmt: skip
CLI = [
    "groups", "targets", "amounts", "bounds", "options", "closed_pipe", "standard_error", "output", "progress",
    "naming", "remains", "choose", "wanted", "listing", "outflow", "ledger", "finding_listing", "captures", "indexing",
    "spreading", "read", "findings", "drawing", "ladders", "tracing", "dissection", "lesson", "show", "diff", "join",
    "explain", "shown_by", "report", "screens", "browse", "checking", "recording", "reporting", "check", "live_lines",
    "watch", "listening", "printed", "watched_command", "sniff", "verifying", "wait_report", "waiting", "performing",
    "demo", "lab", "echo_screen", "echo_chat", "echo", "timewait_bind", "timewait_census", "timewait_watch", "timewait",
]  # fmt: skip
TESTING = ["drawing", "handshakes", "recording", "reporting", "isolation"]
ORDERED = {
    "capture": CAPTURE,
    "capture/formats": FORMATS,
    "capture/formats/pcapng": PCAPNG,
    "capture/headers": HEADERS,
    "capture/live": LIVE,
    "capture/scapy_side": SCAPY_SIDE,
    "capture/writing": WRITING,
    "connections": CONNECTIONS,
    "connections/copies": COPIES,
    "connections/deciding": DECIDING,
    "connections/endless": ENDLESS,
    "connections/events": EVENTS,
    "connections/folding": FOLDING,
    "connections/ledger": LEDGER,
    "connections/over_time": OVER_TIME,
    "connections/splitting": SPLITTING,
    "connections/steps": STEPS,
    "connections/zeek": ZEEK,
    "cli": CLI,
    "compared": COMPARED,
    "conditions": CONDITIONS,
    "expect": EXPECT,
    "expect/reports": REPORTS,
    "explain": EXPLAIN,
    "findings": FINDINGS,
    "indexed": INDEXED,
    "joined": JOINED,
    "lab": LAB,
    "lab/by_hand": BY_HAND,
    "lab/command": COMMAND,
    "lab/kernel": KERNEL,
    "lab/strace": STRACE,
    "lab/time_wait": TIME_WAIT,
    "lesson": LESSON,
    "screen": SCREEN,
    "spread": SPREAD,
    "testing": TESTING,
    "views": VIEWS,
    "views/pictures": PICTURES,
    "views/page": PAGE,
    "views/page/charts": CHARTS,
}

MODULES = sorted(path for path in ROOT.rglob("*.py") if path.relative_to(ROOT) != Path("__init__.py"))


class Module(NamedTuple):
    """What is asked of a file."""

    docstring: str | None
    #: The project's modules that it imports, anywhere in it, without the leading package name.
    imports: set[str]


@cache
def module_at(path: Path) -> Module:
    """Read a file, once for all tests."""
    syntax = ast.parse(path.read_text())
    return Module(ast.get_docstring(syntax), imports_in(syntax))


def imports_in(syntax: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(syntax):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("handshake_inspect"):
            base = node.module.removeprefix("handshake_inspect").lstrip(".")
            is_folder = (ROOT / base.replace(".", "/")).is_dir()
            found |= {f"{base}.{alias.name}".strip(".") for alias in node.names} if is_folder else {base}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("handshake_inspect.")
                for alias in node.names
                if alias.name.startswith("handshake_inspect.")
            }
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_above(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for imported in module_at(path).imports:
        other = imported.partition(".")[0]
        if other in ("__version__", own):
            continue
        assert LEVEL[other] < LEVEL[own], f"{path.relative_to(ROOT)} imports {imported} from below"


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder in ORDERED for name in ORDERED[folder]])
def test_imports_inside_a_folder_flow_one_way(folder: str, name: str) -> None:
    order, inside = ORDERED[folder], folder.replace("/", ".") + "."
    allowed = {*order[: order.index(name)], name if (ROOT / folder / name).is_dir() else ""}
    place = ROOT / folder / name
    for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
        inner = (one.removeprefix(inside) for one in module_at(path).imports if one.startswith(inside))
        imported = {one.partition(".")[0] for one in inner}
        assert imported <= allowed, path


@pytest.mark.parametrize("folder", ORDERED)
def test_every_module_of_a_folder_has_its_place_and_its_line(folder: str) -> None:
    found = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__"} == {*ORDERED[folder]}
    lines = re.findall(r"^- ((?:`\w+`(?:, )?)+): ", (ROOT / folder / "__init__.py").read_text(), re.MULTILINE)
    assert {*ORDERED[folder]} == {name for line in lines for name in re.findall(r"\w+", line)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_at_its_top_what_it_is(path: Path) -> None:
    assert module_at(path).docstring


def test_tcp_knows_neither_numpy_nor_scapy_nor_files() -> None:
    for path in (ROOT / "tcp").glob("*.py"):
        names = {
            (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not {name.partition(".")[0] for name in names} & {"numpy", "scapy", "os", "io", "pathlib", "socket"}


def test_everything_public_is_there() -> None:
    for name in handshake_inspect.__all__:
        found = getattr(handshake_inspect, name)
        assert found.__doc__ or get_origin(found) is Literal
