"""The state of the connections of a run over time.

- `attempts`: how long an unfinished attempt to connect counts.
- `phases`: the phases of each connection, from when to when.
- `half_open`: how many connections were half-open at once.
- `openings`: how long the handshakes of each server took.
"""
