"""Sequence arithmetic: the events at each end, their times, and the states that result.

- `fins`, `numbers`, `resets`: which FIN counts, what each end acknowledged, which effect each RST has.
- `echoed_syns`: which of several SYNs of an end a SYN-ACK answers.
- `news`: when each end learns that its SYN, and its FIN, was acknowledged, and whether that is proven or assumed.
- `events`: the events at each end, in order.
- `machine`: events -> states of both ends; the only code that applies the table of `tcp.states`.
- `shapes`: groups connections that behave equally, so that each group is judged once.
- `kinds`: the name of each shape's opening and closing.
"""
