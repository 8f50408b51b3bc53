"""The same connections captured at two places, joined: what happened to them on the path between.

The modules, in the order in which data flows; each imports only from those before it:

- `vantage`: what one capture shows, in columns
- `strangers`: whether two similar connections are the same one
- `pairing`: the connections of one place -> those of the other
- `aligned`: the segments of both places, in the same terms
- `times`: how long segments seem to be under way, and which of several equal ones is which by that
- `matching`: the segments of one place -> those of the other
- `drift`: bounds of a clock difference, carried over to other times
- `clocks`: which end each place is near, and how far their clocks are apart
- `pieces`: octets that both places saw, in segments of different sizes
- `proofs`: segments that an acknowledgment proves to have arrived
- `fates`: what was lost, copied, made or overtaken on the path
- `changes`: what was changed on the path
- `ways`: these counted for each direction, with the delays
- `comparison`: all of this wired up
- `differences`: how one segment differs between sending and arrival, in words
- `model`: a joined connection as plain data
- `errors`: at which of the places each ICMP error was seen
- `described`: columns -> a connection
- `order`: the segments of both places in one order
- `spelling`: the same letters for the numbers of both places
- `crossing`: columns -> the segments of a connection, in that order
- `join`: two captures -> joined connections
"""
