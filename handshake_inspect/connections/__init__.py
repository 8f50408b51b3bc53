"""Segments in, connections out: what opened, lived and closed, and how that is known.

Reading order: `conversations` (rows -> pairs of sockets), `compact` (folds what cannot change an answer), `split`
(pairs of sockets -> connections), `rows` (what the rest reads), `events` (sequence arithmetic), `machine` (states),
`derived` (Zeek's and Wireshark's words), `verdict` (columns of answers), `steps` (one connection, segment by
segment), `connection` (the model).
"""
