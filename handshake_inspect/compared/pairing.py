"""The connections of one capture -> those of the other.

In: for both captures a list of connections, each with its server and its behaviour. Out: pairs, and connections without
a partner. The clients' ports mean nothing, nor does the order in which concurrent clients begin. Servers are matched by
address and port, or by port alone if the addresses differ. Connections of one server are paired by behaviour, from all
of it to hardly any of it; so an additional connection is reported as one, and not as a change of all later ones.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from handshake_inspect.connections.connection import Endpoint


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connection that looks for its partner."""

    stream: int
    server: Endpoint
    #: All that it did; None if that is not known.
    digest: bytes | None
    #: How it opened and closed.
    judgement: int
    #: Payload of both ends.
    octets: tuple[int, int]
    #: How many of its segments stand in the digest only by their number and octets.
    folded_segments: int = 0


@dataclass
class Pairing:
    """The pairs, by stream, and the streams without a partner; each list in the order of its first capture."""

    pairs: list[tuple[Candidate, Candidate]] = field(default_factory=list)
    only_a: list[Candidate] = field(default_factory=list)
    only_b: list[Candidate] = field(default_factory=list)


#: What two connections of one server must have in common to be partners, the more the better.
ALIKE: tuple[Callable[[Candidate], Hashable], ...] = (
    lambda one: one.digest or one,
    lambda one: (one.judgement, one.octets),
    lambda one: one.judgement,
)


def pair(a: Sequence[Candidate], b: Sequence[Candidate]) -> Pairing:
    """Find the partner of each connection."""
    found = Pairing()
    servers_a, servers_b = _servers(a, b)
    for server in dict.fromkeys([*servers_a, *servers_b]):
        _pair_of_server(servers_a.get(server, []), servers_b.get(server, []), found)
    found.pairs.sort(key=lambda both: both[0].stream)
    found.only_a.sort(key=lambda one: one.stream)
    found.only_b.sort(key=lambda one: one.stream)
    return found


def _servers(
    a: Sequence[Candidate], b: Sequence[Candidate]
) -> tuple[dict[Hashable, list[Candidate]], dict[Hashable, list[Candidate]]]:
    """Group the connections by server: by address and port, by port alone, or all together."""
    endpoints = {one.server for one in a} & {one.server for one in b}
    ports_a, ports_b = ({one.server.port for one in some if one.server not in endpoints} for some in (a, b))
    ports = ports_a & ports_b

    def server(one: Candidate) -> Hashable:
        if one.server in endpoints:
            return one.server
        return one.server.port if one.server.port in ports else None

    grouped: tuple[dict[Hashable, list[Candidate]], ...] = (defaultdict(list), defaultdict(list))
    for some, groups in zip((a, b), grouped, strict=True):
        for one in some:
            groups[server(one)].append(one)
    return dict(grouped[0]), dict(grouped[1])


def _pair_of_server(a: list[Candidate], b: list[Candidate], found: Pairing) -> None:
    all_b = b
    pairs: list[tuple[Candidate, Candidate]] = []
    for alike in ALIKE:
        a, b = _pair_alike(a, b, alike, pairs)
    a, b = _pair_neighbours(a, b, all_b, pairs)
    count = min(len(a), len(b))
    found.pairs += [*pairs, *zip(a, b, strict=False)]
    found.only_a += a[count:]
    found.only_b += b[count:]


def _pair_alike(
    a: list[Candidate],
    b: list[Candidate],
    alike: Callable[[Candidate], Hashable],
    pairs: list[tuple[Candidate, Candidate]],
) -> tuple[list[Candidate], list[Candidate]]:
    """Pair the connections for which this is equal, in order. Return those that are left."""
    waiting: dict[Hashable, deque[Candidate]] = defaultdict(deque)
    for one in b:
        waiting[alike(one)].append(one)
    left = []
    for one in a:
        same = waiting[alike(one)]
        if same:
            pairs.append((one, same.popleft()))
        else:
            left.append(one)
    taken = {id(other) for _, other in pairs}
    return left, [one for one in b if id(one) not in taken]


def _pair_neighbours(
    a: list[Candidate], b: list[Candidate], all_b: list[Candidate], pairs: list[tuple[Candidate, Candidate]]
) -> tuple[list[Candidate], list[Candidate]]:
    """Pair a connection that is left with the one that follows the partner of the one before it, if that is left too.

    Returns those that are still left.
    """
    if not a or not b:
        return a, b
    place_b = {one.stream: place for place, one in enumerate(all_b)}
    partner = {one.stream: other.stream for one, other in pairs}
    free = {one.stream for one in b}
    everything_a = sorted([*partner, *(one.stream for one in a)])
    before = dict(zip(everything_a[1:], everything_a, strict=False))
    left = []
    for one in a:
        at = place_b.get(partner.get(before.get(one.stream, -1), -1), -1) + 1
        follower = all_b[at] if at < len(all_b) else None
        if follower is not None and follower.stream in free:
            free.remove(follower.stream)
            partner[one.stream] = follower.stream
            pairs.append((one, follower))
        else:
            left.append(one)
    return left, [one for one in b if one.stream in free]
