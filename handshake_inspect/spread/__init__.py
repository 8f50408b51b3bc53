"""The work of a run cut into pieces: files apart from each other, then conversations apart from each other.

The modules, in the order in which data flows:

- `part`: captures -> a `Part`, what an `Inspector` has after reading them, made something that can be sent on (map).
- `sharing`: the names and captures of all parts, numbered as those of one run; a `Part` -> pieces, by conversation
  (shuffle).
- `reduction`: the pieces of all parts with the same conversations -> verdicts about these (reduce).
- `whole`: verdicts of all reductions -> the `Inspection` of the run.
- `run`: all of this wired up, on an `Engine`, which runs functions wherever it likes.
- `cluster`: the engine that is Dask.

Every function from table to table is pure, so that one whose machine died can be run again on another; and it is what
a run on one machine does too: readers, decoder, `GatheredRows`, `Analysis` and rules are the same.
"""
