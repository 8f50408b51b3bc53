"""One connection segment by segment, with the arithmetic that proves each state.

- `sacked`: the blocks of SACK options.
- `sent_again`: why octets were sent again.
- `step_rows`: the input of the steps of connections.
- `sums`: the arithmetic of each segment, in numbers and in letters.
- `steps`: the steps, made on demand.
- `present`: the state of both ends at a moment, including what the clock alone changes.
"""
