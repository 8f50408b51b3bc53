"""Rows of all captures -> those that can change an answer, stored compactly by conversation.

- `duplicates`: collapses rows that are copies of a segment.
- `compact`, `steady`: fold segments that cannot change an answer, `steady` as soon as they arrive.
- `course`: how far both directions of steady conversations have come, for `steady`.
- `seams`: checks that rows folded separately in parts give the same answers as the whole.
- `repeats`: marks segments without any octets that were not captured before.
- `judged`: checks that all rows confirm the judgement of copies with which a part was folded.
- `pool`, `gather`: keep the remaining rows until the end, and return them by conversation.
- `whereabouts`: the frames of each conversation.
"""
