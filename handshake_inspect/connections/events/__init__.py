"""Sequence arithmetic: what happened to each end, when, and which states follow.

- `fins`, `numbers`, `resets`: which FIN counts, who acknowledged what, what each RST is worth.
- `news`: when each end learns that its SYN, and its FIN, was acknowledged, and how sure that is.
- `events`: what happened to each end, and when.
- `machine`: events -> states of both ends; the only code that walks the table of `tcp.states`.
- `shapes`: connections that behave equally, found once.
- `kinds`: the name of each shape's opening and closing.
"""
