"""Finds rows that are duplicate captures (copies) of a segment, in one capture or in several.

- `packets`: the columns that identify a packet, and what one capture shows of a conversation.
- `runs`: runs of equal segments that follow each other closely.
- `rotation`: copies made by a mirror in the next file of a rotation.
- `elsewhere`: segments that another capture also has, by its own clock.
- `copies`: all copies of segments, each with its original row.
"""
