"""Lessons: a walk through a connection segment by segment, with a question before each that changes a state.

The questions are derived from the steps of the connection and the table of states; there is no list of them. Nothing
here reads or prints. Data flows down this list:

- `fired`: steps -> the cells of the table of states that each segment fired, with the text of RFC 9293 for them.
- `question`: a `Question`, its choices, and the interpretation of a learner's answer.
- `choices`: plausible wrong answers: the neighbouring cells of the table.
- `errors`: ICMP errors -> the required reaction of TCP.
- `ending`: the questions after the last segment: which end holds TIME-WAIT, and for how long.
- `stops`: a connection -> the questions before each segment and the explanation after it.
- `score`: the answers given, and the topics to review.
- `telling`: all of these -> lines.
"""
