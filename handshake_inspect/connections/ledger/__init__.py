"""Which hosts hold TIME-WAITs, how many at once over time, and how close the ephemeral ports were to exhaustion.

- `at_once`: counts of simultaneous spans of time.
- `owing`: the TIME-WAITs of each host, from when to when.
- `port_use`: the ephemeral ports that these take, for each remote socket.
- `ledger`: the interface to all of these.
"""
