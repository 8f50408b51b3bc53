"""Pairs of sockets -> connections.

- `rows`: the rows of whole connections, which the rest reads.
- `reuse`: where a connection begins, if sockets are used again in the ordinary way.
- `around`, `syn_questions`, `boundaries`: where one begins in any other way: what each SYN asks, and what it is.
- `unwrapping`: numbers modulo 2**32 -> distances from the initial ones.
- `split`: pairs of sockets -> connections, with roles and relative numbers.
"""
