"""Lessons: a connection walked through segment by segment, with a question before each that moves somebody.

The questions come from the steps of the connection and from the table of states; there is no list of them. Nothing
here reads or prints. Data flows down this list:

- `fired`: steps -> the cells of the table of states that each segment fired, with what RFC 9293 says there.
- `question`: a `Question`, its choices, and what a learner's answer means.
- `choices`: which wrong answers are plausible beside the right one: the neighbouring cells of the table.
- `errors`: ICMP errors -> what TCP is to do about them.
- `ending`: the questions after the last segment: who owes TIME-WAIT, and for how long.
- `stops`: a connection -> what is asked before each segment and said after it.
- `score`: what was answered, and what deserves another look.
- `telling`: all of it -> lines.
"""
