"""What was found, as text, JSON, a picture or a page. Views map and lay out; they compute nothing about TCP.

The modules, in an order in which each imports only from those before it. Words that every view shares:

- `escape`: text from outside (payload, names, comments), made safe to print.
- `words`: numbers, times and kinds in words.
- `verdict_lines`: a verdict in a few words.
- `styled`: sentences of which some words have a style.
- `palette`: the colours of pictures, page and screen.

One line per connection:

- `short_sockets`: addresses with their ports in little room.
- `table`: columns for people, cut to the width of the terminal.
- `address_names`: names of addresses.
- `remarks`: what was damaged, not read or lost, for standard error.

The ladder of one connection, from its steps to text:

- `segment_words`: what is written at a segment.
- `ladder_layout`: columns, arrows, wrapped text.
- `finding_lines`: findings, one line each.
- `folding`, `icmp_lines`, `ladder_calls`: what stands between segments: folded transfers, ICMP errors, socket calls.
- `ladder_order`: all of these in one order.
- `ladder_states`: the states beside a segment.
- `time_wait_lines`, `account`: what stands below the ladder.
- `rungs`: a ladder as data, row by row.
- `ladder_rows`: connection, steps, calls and payload -> that data.
- `ladder_cells`, `ladder`: that data -> lines of text.

Other pictures as text:

- `segment_line`, `datagram_line`: one line per segment or datagram, as `sniff` prints them.
- `exchange_lines`: a UDP exchange.
- `unix_lines`: a session over a Unix socket.

Connections for other programs:

- `contract`, `fields`: the JSON object of a connection, and every field of it.
- `json_forms`, `json_lists`, `json_lines`: the same JSON from columns, many connections at a time.
- `export`: JSON, NDJSON, CSV and Markdown.
- `zeek_log`, `parquet`: Zeek's conn.log, and Parquet.
- `finding_export`: findings.

The ledger of TIME-WAIT:

- `ledger_rows`, `ledger_export`, `ledger_summary`: for people, for programs, and summed up.

Two captures compared:

- `compact_rows`: a ladder without times and proofs.
- `golden`: the text of a capture that a repository keeps.
- `compared_lines`, `compared_ladders`, `compared_export`: differences in words, beside each other, and as JSON.

Two captures joined:

- `joined_folding`, `joined_layout`, `joined_account`: folded transfers, columns, and what stands below the ladder.
- `joined_summary`, `joined_table`, `joined_remarks`: one line per connection, and what stands below and beside.
- `joined_ladder`, `joined_export`: the ladder with the way between, and JSON.

Pictures and pages:

- `pictures`: ladders as SVG, Mermaid and HTML.
- `page`: the report page.
"""
