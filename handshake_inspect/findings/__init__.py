"""What an expert would notice: rules over connections and over the run, one function each.

The modules, in the order in which data flows:

- `segments`, `evidence`, `run`: what rules look at: the columns of one partition, and of the whole run.
- `option_lists`: questions about the option lists of SYNs, asked once for each distinct list.
- `rule`: what a rule is; its docstring is its page.
- `fin_answers`: which segments acknowledge a FIN.
- `unanswered`, `opening`, `third_segment`, `fast_open`, `retries`, `syns`, `numbers`, `control_bits`: openings, and
  numbers that are wrong.
- `offers`, `options`, `segment_sizes`, `extensions`: what the SYNs offer.
- `paths`: routers, translators and other boxes between the ends.
- `reset_causes`, `resets`, `reset_marks`, `gone_ends`, `injection`: RSTs: their causes, their effects, and whether they
  were forged.
- `closed_windows`: the times during which an end kept its window closed.
- `black_holes`, `silence`: segments that are too large for the path, and segments without an answer.
- `stalls`: time lost to losses and slow answers.
- `closing`, `half_closed`, `late`: how connections close, and what comes after it.
- `listeners`, `scans`, `time_wait`, `sockets`, `ports`: what many connections show together.
- `captures`: the quality of the capture.
- `catalogue`: all rules, and the functions that apply them.
- `other_tools`: the names that other tools have for the same.
"""
