"""What was measured, as tables for a terminal and for the README.

In: the runs of each command on each capture, and what each of our stages took. Out: tables in Markdown, and the limits
that were missed. Ratios are
medians over the rounds, each of two processes that ran one after the other; seconds are of the day and the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.peers import GROWTH_AT_MOST, HOSTILE, HOSTILE_AT_MOST, MEMORY, MEMORY_WITH_LOSSES, PEERS
from tests.bench.stopwatch import Amount, Run

OWN, ONE_JOB, IDLE = "handshake-inspect", "--jobs 1", "without packets"
#: The table of the README stands between these lines.
BEGIN, END = "<!-- made by `make bench ARGS=--readme` -->", "<!-- end of what is made -->"


@dataclass(frozen=True)
class Measured:
    """One capture, and how long each command took for it."""

    name: str
    amount: Amount
    #: By command: ours, `--jobs 1`, and the names of PEERS. One that failed, or is not installed, has no runs.
    runs: Mapping[str, Sequence[Run]]
    #: Ours, for a capture without packets.
    idle: Run
    #: Processor seconds of each stage of ours, in one thread (`stages`).
    stages: Mapping[str, float]

    def ratio(self, command: str) -> float:
        """Return how many times as long as we a command takes."""
        return ratio_of(self.runs[command], self.runs[OWN])

    @property
    def peak_octets(self) -> int:
        """Our own peak memory."""
        return max(run.peak_octets for run in self.runs[OWN])

    @property
    def octets_per_connection(self) -> float:
        """Return what one connection takes of it."""
        return (self.peak_octets - self.idle.peak_octets) / self.amount.connections


@dataclass(frozen=True)
class Growth:
    """One workload, and ten times as much of it."""

    name: str
    amounts: tuple[Amount, Amount]
    runs: tuple[Sequence[Run], Sequence[Run]]

    @property
    def ratio(self) -> float:
        """How many times as long the larger one takes."""
        return ratio_of(self.runs[1], self.runs[0])


@dataclass(frozen=True)
class Hostile:
    """A capture made to be slow, beside `short` and a capture without packets, each read by one process."""

    name: str
    packets: int
    ordinary_packets: int
    runs: Sequence[Run]
    ordinary: Sequence[Run]
    idle: Sequence[Run]

    @property
    def ratio(self) -> float:
        """How many packets of `short` take as much processor time as one of this capture."""
        return median(
            (one.cpu_seconds - idle.cpu_seconds) / self.packets * self.ordinary_packets
            / (ordinary.cpu_seconds - idle.cpu_seconds)
            for one, ordinary, idle in zip(self.runs, self.ordinary, self.idle, strict=True)
        )  # fmt: skip


def ratio_of(some: Sequence[Run], others: Sequence[Run]) -> float:
    """Return the median ratio of the seconds of runs in turn."""
    return median(one.seconds / other.seconds for one, other in zip(some, others, strict=True))


def table(measured: Sequence[Measured], *, limits: bool) -> str:
    """Return a column for each capture and a row for each command; with `limits`, what is meant, and if it holds."""
    commands = [name for name in (*PEERS, ONE_JOB) if any(one.runs.get(name) for one in measured)]
    rows = [
        ["", *(f"`{one.name}`" for one in measured)],
        ["---"] * (len(measured) + 1),
        ["segments in connections", *(f"{one.amount.segments:,} in {one.amount.connections:,}" for one in measured)],
        ["`read --format csv`", *(own_cell(one, limits=limits) for one in measured)],
        ["its memory per connection", *(connection_cell(one) for one in measured)],
    ]
    rows += [
        [PEERS[name].label if name in PEERS else "`read --format csv --jobs 1`"]
        + [cell(one, name, limits=limits) for one in measured]
        for name in commands
    ]
    return markdown(rows)


def stage_table(measured: Sequence[Measured]) -> str:
    """Return a column for each capture and a row for each stage: its processor seconds in one thread, and its share."""
    rows = [["", *(f"`{one.name}`" for one in measured)], ["---"] * (len(measured) + 1)]
    columns = [{"starting": one.idle.cpu_seconds, **one.stages} for one in measured]
    totals = [sum(column.values()) for column in columns]
    for stage in columns[0] if columns else ():
        cells = (
            f"{column[stage]:.2f} s, {column[stage] / all_:.0%}" for column, all_ in zip(columns, totals, strict=True)
        )
        rows.append([stage, *cells])
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a table."""
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def own_cell(one: Measured, *, limits: bool) -> str:
    """Return our own seconds and memory for a capture."""
    found = f"{seconds(one.runs[OWN])}, {megabytes(one.peak_octets)}"
    if not limits:
        return found
    most = most_octets(one)
    return f"{found} (≤ {megabytes(most)} {mark(one.peak_octets <= most)})"


def most_octets(one: Measured) -> int:
    """Return how much memory we mean to take at most."""
    return (MEMORY_WITH_LOSSES if one.name == "lossy" else MEMORY).octets(one.amount.connections)


def connection_cell(one: Measured) -> str:
    """Return what a connection takes, where there are so many that it can be told."""
    return f"{one.octets_per_connection:,.0f} octets" if one.amount.connections >= 10_000 else ""


def cell(one: Measured, name: str, *, limits: bool) -> str:
    """Return how a command compares with ours."""
    runs = one.runs.get(name)
    if not runs:
        return "failed"
    ratio = one.ratio(name)
    compared = f"{ratio:.1f} × as long" if ratio > 0.95 else f"1/{1 / ratio:.1f} as long"
    found = f"{compared}: {seconds(runs)}, {megabytes(max(run.peak_octets for run in runs))}"
    bound = limit_of(one, name)
    return found if bound is None or not limits else f"{found} ({bound[0]} {mark(bound[1])})"


def limit_of(one: Measured, name: str) -> tuple[str, bool] | None:
    """Return what is meant for a command and a workload, and whether it holds; None if nothing is."""
    peer = PEERS.get(name)
    if peer is not None and (least := peer.at_least.get(one.name)):
        return f"≥ {least:g}", one.ratio(name) >= least
    if peer is not None and (most := peer.at_most.get(one.name)):
        return f"≥ 1/{most:g}", one.ratio(name) >= 1 / most
    return None


def missed(measured: Sequence[Measured], grown: Sequence[Growth] = (), hostile: Sequence[Hostile] = ()) -> list[str]:
    """Return the limits that do not hold, one line each."""
    lines = [
        f"{one.name}: {PEERS[name].label}: {cell(one, name, limits=True)}"
        for one in measured
        for name in PEERS
        if one.runs.get(name) and (bound := limit_of(one, name)) and not bound[1]
    ]
    lines += [
        f"{one.name}: memory: {own_cell(one, limits=True)}" for one in measured if one.peak_octets > most_octets(one)
    ]
    lines += [f"{one.name}: growth: {one.ratio:.1f} ×" for one in grown if one.ratio > GROWTH_AT_MOST]
    return lines + [f"{one.name}: {one.ratio:.1f} packets" for one in hostile if one.ratio > HOSTILE_AT_MOST]


def growth_table(grown: Sequence[Growth]) -> str:
    """Return a row for each workload: what ten times as much takes."""
    rows = [["", "segments", "seconds", "peak memory", "ten times the packets take"], ["---"] * 5]
    for one in grown:
        small, large = one.runs
        rows.append(
            [
                f"`{one.name}`",
                " → ".join(f"{amount.segments:,}" for amount in one.amounts),
                f"{seconds(small)} → {seconds(large)}",
                " → ".join(megabytes(max(run.peak_octets for run in runs)) for runs in one.runs),
                f"{one.ratio:.1f} × (≤ {GROWTH_AT_MOST} {mark(one.ratio <= GROWTH_AT_MOST)})",
            ]
        )
    return markdown(rows)


def hostile_table(hostile: Sequence[Hostile]) -> str:
    """Return a row for each capture made to be slow: what a packet of it takes."""
    rows = [["", "what it is", "packets of `short` that one packet takes", "peak memory"], ["---"] * 4]
    for one in hostile:
        holds = mark(one.ratio <= HOSTILE_AT_MOST)
        peak_octets = max(run.peak_octets for run in one.runs)
        rows.append(
            [
                f"`{one.name}`",
                HOSTILE[one.name],
                f"{one.ratio:.1f} (≤ {HOSTILE_AT_MOST} {holds})",
                megabytes(peak_octets),
            ]
        )
    return markdown(rows)


def seconds(runs: Sequence[Run]) -> str:
    """Return the median of wall clock seconds."""
    return f"{median(run.seconds for run in runs):.2f} s"


def megabytes(octets: int) -> str:
    """Return octets as people read them."""
    return f"{octets / 1e6:.0f} MB"


def mark(holds: bool) -> str:
    """Return a sign for it."""
    return "✓" if holds else "✗"


def written_into(text: str, tables: str) -> str:
    """Return the README with these tables in the place of those that it has. Raises ValueError if it has no place."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no place between {BEGIN} and {END}")
    return f"{before}{begin}\n{tables}\n\n{end}{after}"
