"""The work of a run divided into pieces: first by capture file, then by conversation.

The modules, in the order in which data flows:

- `part`: captures -> a `Part`, the state of an `Inspector` after reading them, in a form that can be sent (map).
- `sharing`: names and captures of all parts, renumbered for one run; a `Part` -> pieces, by conversation (shuffle).
- `reduction`: the pieces of all parts with the same conversations -> verdicts about these (reduce).
- `whole`: verdicts of all reductions -> the `Inspection` of the run.
- `run`: connects all of these on an `Engine`, which runs functions on any machine.
- `cluster`: the engine based on Dask.

Every function from table to table is pure, so it can be run again on another machine if its own dies. A run on one
machine uses the same code: readers, decoder, `GatheredRows`, `Analysis` and rules.
"""
