"""What an expert would notice: rules over connections and over the run, one function each.

The modules, in the order in which data flows:

- `segments`, `evidence`, `run`: what rules look at: the columns of one partition, and of the whole run.
- `option_lists`: what the option lists of SYNs tell, asked once of each distinct one.
- `rule`: what a rule is; its docstring is its page.
- `fin_answers`: which segments acknowledge a FIN.
- `unanswered`, `opening`, `third_segment`, `fast_open`, `retries`, `syns`, `numbers`, `control_bits`: openings, and
  numbers that are wrong.
- `offers`, `options`, `segment_sizes`, `extensions`: what the SYNs offer.
- `paths`: what lies between the ends.
- `reset_causes`, `resets`, `reset_marks`, `gone_ends`, `injection`: RSTs: why, what they did, and from whom they
  really come.
- `closed_windows`: from when to when an end took nothing.
- `black_holes`, `silence`: what is too large for the path, and what went unanswered in the life of a connection.
- `stalls`: where the time goes.
- `closing`, `half_closed`, `late`: how connections close, and what comes after it.
- `listeners`, `scans`, `time_wait`, `sockets`, `ports`: what many connections show together.
- `captures`: what the capture is worth.
- `catalogue`: all of them, and what applies them.
- `other_tools`: what other tools call the same.
"""
