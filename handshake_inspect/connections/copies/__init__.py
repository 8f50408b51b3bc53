"""Which rows show a segment again: in one capture, and in several.

- `packets`: what identifies a packet on its way, and what one capture shows of a conversation.
- `runs`: runs of equal segments that follow each other closely.
- `rotation`: copies of a mirror in the next file of a rotation.
- `elsewhere`: segments that another capture shows too, by its own clock.
- `copies`: all copies of segments, and of which row each is one.
"""
