"""SYNs of one connection that do not offer the same: sent again with less, or robbed of options on the way.

Read RFC 7323 §2.2 and §3.2 first: an option that one of the SYNs lacks is not used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import CWR, ECE
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.option_lists import is_cut, option_list
from handshake_inspect.findings.retries import syns_again
from handshake_inspect.findings.rule import NOTE, rule
from handshake_inspect.quantities import listed
from handshake_inspect.sets import first_of_runs
from handshake_inspect.tcp.options import Options


@rule("syn-options-dropped", NOTE, example="syn-options-dropped.pcap")
def syn_options_dropped(e: Evidence) -> Iterator[FindingRows]:
    """The SYN was sent again, and not with the same options.

    What it means. Its sender takes the silence for a box on the way that drops SYNs with options or control bits it
    does not know, and tries without them. Windows leaves out window scale with its last try.

    Why it matters. If the plain SYN is the one that is answered, the whole connection does without window scale, SACK,
    timestamps or ECN.

    Reported when. Of two SYNs of a connection in one capture, or in files that follow each other, one lacks window
    scale, SACK, timestamps or the two bits of ECN that the other has.

    Not reported when. They differ only in their MSS or in Fast Open, or lie in two captures of the same time: then a
    box on the way took the options out. The snapshot length cut the options that one seems to lack.

    Source. RFC 7323 §2.2, §3.2; RFC 2018 §2; RFC 3168 §6.1.1.1.
    """
    for names, first, other in _differing_syns(e, at_one_place=True):
        connection = e.rows.conn[first]
        tries = e.table["syn_retransmissions"][connection].astype(np.int64) + 1
        text = f"{{tries:count SYN}}, and not all of them offer {listed(names)}"
        yield e.found(text, connection, first, other, tries=tries)


@rule("options-stripped", NOTE, example="timestamps-stripped.pcap+timestamps-stripped.server.pcap")
def options_stripped(e: Evidence) -> Iterator[FindingRows]:
    """A box on the way took options out of the SYN.

    What it means. Two captures show the same SYN, and one of them lacks what the other has. A firewall takes out what
    it does not trust or cannot follow.

    Why it matters. The server looks as if it declined, and did not even know of the offer. Both hosts are set up well;
    what to change is between them.

    Reported when. A SYN of one number stands in two captures of a run, of the same time, and one lacks window scale,
    SACK, timestamps or the two bits of ECN that the other has.

    Not reported when. The SYNs lie in one capture, or in files that follow each other: then the client itself tries
    with fewer (`syn-options-dropped`). The snapshot length cut the options that one seems to lack.

    Source. RFC 7323 §2.2, §3.2; RFC 2018 §2; RFC 3168 §6.1.1.
    """
    for names, first, other in _differing_syns(e, at_one_place=False):
        offers = np.zeros_like(first)
        text = (
            f"the {{offers:end}}'s SYN offers {listed(names)} in one capture and not in another: taken out on the way"
        )
        yield e.found(text, e.rows.conn[first], first, other, offers=offers)


def _offers(options: Options) -> dict[str, bool]:
    """Return which of the options that count only if both ends have them a list has."""
    return {
        "window scale": options.window_scale is not None,
        "SACK": options.sack_permitted,
        "timestamps": options.timestamps,
    }


def lacking(options: Options, other: Options) -> tuple[str, ...]:
    """Return the options that a list offers and the other one does not."""
    others = _offers(other)
    return tuple(name for name, offered in _offers(options).items() if offered and not others[name])


def _syn_offers(e: Evidence, rows: Rows) -> Rows:
    """Return what these SYNs offer as a number: that of the option list, and whether both bits of ECN are set."""
    ecn = (e.rows.flags[rows] & (ECE | CWR)) == ECE | CWR
    offers: Rows = e.rows.options[rows].astype(np.int64) << 1 | ecn
    return offers


def _differences(e: Evidence, offer: int, other: int) -> tuple[str, ...]:
    """Return the differences of two offers (`_syn_offers`). A list that was cut is not known to lack anything."""
    numbers = np.array([offer, other]) >> 1
    one, another = (option_list(e, number) for number in numbers.tolist())
    one_cut, another_cut = is_cut(e, numbers).tolist()
    ecn = ("ECN",) if (offer ^ other) & 1 else ()
    return (() if another_cut else lacking(one, another)) + (() if one_cut else lacking(another, one)) + ecn


def _differing_syns(e: Evidence, *, at_one_place: bool) -> Iterator[tuple[tuple[str, ...], Rows, Rows]]:
    """Yield the options that some SYNs of a connection offer and others do not, with the first SYN of each kind."""
    rows, at = e.rows, e.shared(syns_again)
    if not len(at):
        return
    first = e.numbers.bare_syn_row[2 * rows.conn[at]]
    at, first = at[first >= 0], first[first >= 0]
    offer, other = _syn_offers(e, first), _syn_offers(e, at)
    differs = (offer != other) & (e.at_one_place(first, at) == at_one_place)
    if not differs.any():
        return
    pairs, which = np.unique(offer[differs] << 32 | other[differs], return_inverse=True)
    for place, pair in enumerate(pairs.tolist()):
        names = _differences(e, pair >> 32, pair & 0xFFFFFFFF)
        if names:
            some = at[differs][which == place]
            once = first_of_runs(rows.conn[some])
            yield names, first[differs][which == place][once], some[once]


def sent_otherwise(e: Evidence) -> Mask:
    """Mark the connections whose SYN was captured again with other options."""
    found = np.zeros(len(e), np.bool_)
    for at_one_place in (True, False):
        for _, first, _ in _differing_syns(e, at_one_place=at_one_place):
            found[e.rows.conn[first]] = True
    return found
