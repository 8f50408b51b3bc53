"""Rows of all captures -> those that can change an answer, kept in little memory and by conversation.

- `duplicates`: collapses the rows that show a segment again.
- `compact`, `steady`: fold the segments that cannot change an answer, `steady` as soon as they come.
- `seams`: whether what was folded in parts, apart from each other, tells the whole.
- `repeats`: which segments bring nothing that was not captured before.
- `judged`: whether the whole confirms what a part was taken for, doubled or not, when it was folded.
- `pool`, `gather`: keep what is left until the end, and hand it out by conversation.
- `whereabouts`: in which frames each conversation is found.
"""
