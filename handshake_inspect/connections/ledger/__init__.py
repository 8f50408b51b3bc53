"""Who owes TIME-WAIT, how many at once over time, how near the ephemeral ports were to running out.

- `at_once`: how many of some spans of time there are at once.
- `owing`: who owes how many, from when to when.
- `port_use`: which ephemeral ports that takes, towards each remote socket.
- `ledger`: all of it, for whoever asks.
"""
