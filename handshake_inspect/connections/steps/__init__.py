"""One connection, segment by segment, with the arithmetic that proves each state.

- `sacked`: what receivers say in SACK options.
- `sent_again`: why octets came again.
- `step_rows`: what the steps of connections are told from.
- `sums`: the arithmetic of each segment, in numbers and in letters.
- `steps`: the steps, made when somebody asks.
- `present`: where both ends are at a moment: what the clock does.
"""
