"""Segments in, connections out: what opened, lived and closed, and how that is known.

The modules, in the order in which data flows:

- `conversations`: pairs of sockets, numbered as they appear.
- `packets`, `runs`, `elsewhere`, `copies`, `duplicates`: finds the rows that show a segment again, in one
  capture and in several, and collapses them.
- `compact`, `steady`: fold the segments that cannot change an answer, `steady` as soon as they come.
- `seams`: whether what was folded in parts, apart from each other, tells the whole.
- `repeats`: which segments bring nothing that was not captured before.
- `judged`: whether the whole confirms what a part was taken for, doubled or not, when it was folded.
- `pool`, `gather`: keep what is left until the end, in little memory, and hand it out by conversation.
- `whereabouts`: in which frames each conversation is found.
- `quotes`: ICMP errors -> the connections whose segments they quote.
- `reuse`, `boundaries`: where a connection begins, if sockets are used again: in the ordinary way, and in any.
- `unwrapping`: numbers modulo 2**32 -> distances from the initial ones.
- `split`: pairs of sockets -> connections, with roles and relative numbers.
- `rows`: the rows of whole connections, which the rest reads.
- `moments`, `fins`, `numbers`, `resets`: when something happened, which FIN counts, who acknowledged what, what each
  RST is worth.
- `news`: when each end learns that its SYN, and its FIN, was acknowledged, and how sure that is.
- `events`: sequence arithmetic: what happened to each end, and when.
- `machine`: events -> states of both ends; the only code that walks the table of `tcp.states`.
- `shapes`: connections that behave equally, found once.
- `kinds`: the name of each shape's opening and closing.
- `covers`: which of many runs of numbers is the first over each, for `repeats` and `zeek_gaps`.
- `zeek_reach`, `zeek_gaps`, `zeek_tokens`, `zeek`, `zeek_in_step`: highest numbers, gaps, rows as tokens, and what Zeek
  makes of them, of one connection and of many.
- `derived`: other tools' words: Zeek's, from those above, and Wireshark's.
- `zeek_sizes`: octets and times as Zeek counts them.
- `found`: what rules found (the room `findings`), in columns, and how it is said.
- `answers`, `waiting`: the answers as columns, one row per connection; who enters TIME-WAIT, and when.
- `books`: what follows from numbers for each end: octets sent and missing, retransmissions.
- `twins`, `behaviour`: what follows from numbers alone, found out once for connections with equal segments.
- `verdict`: the answers, from the behaviour of each connection and what it has for itself.
- `time_waits`: how each TIME-WAIT ended, and until when it was owed, under one assumption about its length.
- `model`: columns -> `Connection` objects, when somebody asks for one.
- `sockets`: the addresses and ports of their ends, in columns.
- `at_once`, `owing`, `port_use`, `ledger`: who owes TIME-WAIT, how many at once over time, how near the ephemeral
  ports were to running out.
- `zeek_uid`: identifiers of connections in Zeek's form.
- `flat`, `conn_log`: the columns of csv, and those of Zeek's conn.log as text, without objects.
- `step_rows`: what the steps of connections are told from.
- `sums`: the arithmetic of each segment, in numbers and in letters.
- `steps`: one connection, segment by segment, with the arithmetic that proves each state.
- `offered`: what option lists offer, as far as rules ask: one number for all that offer the same.
- `analysis`: all of this wired up, for `inspector`.
- `attempts`: how long an attempt to connect counts that nobody finishes.
- `phases`, `half_open`: in which phase each connection was, from when to when, and how many were half-open at once.
- `openings`: how long the handshakes of each server took.
- `streams`, `run_clock`, `leaving`, `going`: the same for a capture that does not end: numbers for good, a time that
  never steps, who may leave when, and the rounds in which they do.
- `connection`: what comes out: plain data about one connection.
- `present`: where both ends are at a moment: what the clock does.

Imports flow one way too, with `connection` first and what `compact` asks of `events` and `zeek_reach` before `gather`:
the order is in tests/test_house.py.
"""
