"""Pairs of sockets -> connections.

- `rows`: the rows of whole connections, which the rest reads.
- `reuse`, `boundaries`: where a connection begins, if sockets are used again: in the ordinary way, and in any.
- `unwrapping`: numbers modulo 2**32 -> distances from the initial ones.
- `split`: pairs of sockets -> connections, with roles and relative numbers.
"""
