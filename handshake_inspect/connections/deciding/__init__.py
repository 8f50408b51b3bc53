"""Events -> the answers as columns, one row per connection.

- `found`: what rules found (the room `findings`), in columns, and how it is said.
- `answers`: the tables of answers.
- `waiting`: who enters TIME-WAIT, and when.
- `books`: what follows from numbers for each end: octets sent and missing, retransmissions.
- `twins`, `behaviour`: what follows from numbers alone, found out once for connections with equal segments.
- `verdict`: the answers, from the behaviour of each connection and what it has for itself.
- `time_waits`: how each TIME-WAIT ended, and until when it was owed, under one assumption about its length.
"""
