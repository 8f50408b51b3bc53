"""Events -> the answers as columns, one row per connection.

- `found`: the findings of rules (the folder `findings`), in columns, and their texts.
- `answers`: the tables of answers.
- `waiting`: which end enters TIME-WAIT, and when.
- `books`: results from the numbers of each end: octets sent and missing, retransmissions.
- `twins`, `behaviour`: results from numbers alone, computed once for connections with equal segments.
- `verdict`: the answers, from the behaviour of each connection and its individual values.
- `time_waits`: how each TIME-WAIT ended, and until when it lasted, under one assumption about its length.
"""
