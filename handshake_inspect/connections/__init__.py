"""Segments in, connections out: what opened, lived and closed, and how that is known.

The modules and rooms, in an order in which each imports only from those before it:

- `connection`: what comes out: plain data about one connection.
- `conversations`: pairs of sockets, numbered as they appear.
- `moments`: when something happened, in one number.
- `copies`: which rows show a segment again.
- `covers`: which of many runs of numbers is the first over each.
- `splitting`: pairs of sockets -> connections, with roles and relative numbers.
- `events`: what happened to each end, when, and which states follow.
- `zeek`, `derived`: other tools' words: Zeek's, and Wireshark's.
- `folding`: what can change an answer is kept, the rest is folded into it.
- `quotes`, `quoted`: ICMP errors, and the connections whose segments they quote.
- `deciding`: the answers as columns, one row per connection.
- `steps`: one connection, segment by segment, with the arithmetic that proves each state.
- `connection_columns`: all connections of a run as columns, numbered as streams.
- `model`: columns -> `Connection` objects, when somebody asks for one.
- `sockets`: the addresses and ports of their ends, in columns.
- `flat`, `conn_log`: the columns of csv, and those of Zeek's conn.log as text, without objects.
- `ledger`: who owes TIME-WAIT, and how near the ephemeral ports were to running out.
- `offered`: what option lists offer, as far as rules ask: one number for all that offer the same.
- `decided_part`: some whole conversations, decided together: what rules look at, and what describes single segments.
- `analysis`: all of this wired up, for `inspector`.
- `prepared`: connections made ready to be described step by step, some at once.
- `over_time`: in which phase each connection was, and how long the handshakes of each server took.
- `endless`: captures that do not end: what is over leaves.

Rows flow so: `copies`, `folding`, `splitting`, `events`, `deciding`.
"""
