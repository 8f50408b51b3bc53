"""What the connections of a run were in at each moment.

- `attempts`: how long an attempt to connect counts that nobody finishes.
- `phases`: in which phase each connection was, from when to when.
- `half_open`: how many were half-open at once.
- `openings`: how long the handshakes of each server took.
"""
