"""Pairs of sockets -> connections.

- `rows`: the rows of whole connections, the input of all later modules.
- `reuse`: where connections begin if sockets are reused in the ordinary way.
- `around`, `syn_questions`, `boundaries`: where connections begin in all other cases, decided for each SYN.
- `unwrapping`: numbers modulo 2**32 -> distances from the initial ones.
- `split`: pairs of sockets -> connections, with roles and relative numbers.
"""
