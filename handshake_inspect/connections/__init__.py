"""Segments in, connections out: how each connection opened, lived and closed, and how that is known.

The modules and folders, ordered so that each imports only from those before it:

- `connection`: the result: plain data about one connection.
- `conversations`: pairs of sockets, numbered in order of first appearance.
- `moments`: when something happened, as one number that sorts.
- `copies`: which rows are duplicate captures of the same segment.
- `covers`: which of many runs of sequence numbers is the first to cover each number.
- `splitting`: pairs of sockets -> connections, with roles and relative numbers.
- `events`: what happened to each end, when, and which states result.
- `zeek`, `derived`: the terms of other tools: Zeek and Wireshark.
- `folding`: rows that can change an answer are kept, the others are folded into them.
- `quotes`, `quoted`: ICMP errors, and the connections whose segments they quote.
- `deciding`: the verdicts as columns, one row per connection.
- `steps`: one connection segment by segment, with the arithmetic that proves each state.
- `connection_columns`: all connections of a run as columns, numbered as streams.
- `model`: columns -> `Connection` objects, made on demand.
- `sockets`: the addresses and ports of both ends, in columns.
- `flat`, `conn_log`: the columns of csv, and those of Zeek's conn.log as text, made without objects.
- `ledger`: which end holds TIME-WAIT, and how close the ephemeral ports were to exhaustion.
- `offered`: what option lists offer, as far as rules use it: lists that offer the same share one number.
- `decided_part`: some whole conversations, decided together: the input of rules and of step descriptions.
- `analysis`: connects all of these modules, for `inspector`.
- `prepared`: prepares connections, several at once, to be described step by step.
- `over_time`: the phase of each connection over time, and how long the handshakes of each server took.
- `endless`: captures that do not end: connections that are over are released.

Rows flow through `copies`, `folding`, `splitting`, `events` and `deciding`, in this order.
"""
