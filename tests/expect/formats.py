"""Readers of the formats in which `check` tells its result: written after what is documented, apart from the writers.

They are strict: what a harness or a runner would have to guess at is an AssertionError here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import yaml


@dataclass
class Point:
    """One test point of TAP."""

    number: int
    ok: bool
    description: str
    diagnosis: dict[str, Any] = field(default_factory=dict)


def tap_points(text: str) -> list[Point]:
    """Read TAP 14 as its specification has it, or 13. The plan stands at one end, and is kept."""
    version, *lines = text.splitlines()
    assert re.fullmatch(r"TAP version 1[34]", version)
    points: list[Point] = []
    plans: list[int] = []
    block: list[str] | None = None
    for line in lines:
        if block is not None:
            assert line.startswith("  "), line
            if line == "  ...":
                points[-1].diagnosis, block = yaml.safe_load("\n".join(block)), None
            else:
                block.append(line[2:])
        elif line == "  ---":
            assert points, "a diagnosis of nothing"
            block = []
        elif plan := re.fullmatch(r"1\.\.(\d+)( # .*)?", line):
            plans.append(int(plan[1]))
        elif not re.fullmatch(r"(Bail out!|#).*", line):
            found = re.fullmatch(r"(not )?ok (\d+) - (.*)", line)
            assert found, line
            assert not plans or len(points) == 0, "a test point behind the plan"
            assert not re.search(r"(?<!\\)(\\\\)*#", found[3]), "a directive"
            points.append(Point(int(found[2]), not found[1], re.sub(r"\\(.)", r"\1", found[3])))
    assert block is None
    assert plans == [len(points)]
    assert [point.number for point in points] == [*range(1, len(points) + 1)]
    return points


@dataclass
class Command:
    """A workflow command of GitHub."""

    name: str
    properties: dict[str, str]
    message: str


def workflow_commands(log: str) -> list[Command]:
    """Read a log as GitHub's runner does: a command is a line that begins with two colons, unless they are stopped."""
    found, stopped = [], ""
    for line in log.splitlines():
        parts = re.fullmatch(r"\s*::(?P<name>[\w-]+)(?: (?P<properties>.*?))?::(?P<message>.*)", line)
        if stopped:
            if line == f"::{stopped}::":
                stopped = ""
        elif parts and parts["name"] == "stop-commands":
            stopped = parts["message"]
        elif parts:
            pairs = [pair.split("=", 1) for pair in (parts["properties"] or "").split(",") if pair]
            properties = {name: _unescaped(value, "%:,\r\n") for name, value in pairs}
            found.append(Command(parts["name"], properties, _unescaped(parts["message"], "%\r\n")))
    assert not stopped
    return found


def _unescaped(text: str, known: str) -> str:
    """Undo the escapes of these characters; no others are known."""
    escapes = re.findall("%(..)?", text)
    assert {unquote(f"%{one}") for one in escapes} <= {*known}, text
    return unquote(text)
