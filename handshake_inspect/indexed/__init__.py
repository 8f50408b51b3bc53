"""Makes the second `show` of a big capture instant: an index beside it, written during the first read.

The modules, in the order in which data flows:

- `identity`: identifies the capture file of an index, to detect that it changed.
- `typed`: plain data to JSON, and back with a check of types.
- `making`: an inspection -> an index.
- `index`: an index -> a connection with its segments, from the frames of its conversation alone.

An index stores what the frames of a conversation cannot show: their offsets, the stream numbers of its connections,
findings over the whole run, and the overview. Everything else is computed again by the same code from the segments,
which are read again; so output from an index equals output from the capture, octet for octet. An index is untrusted
input like a capture: any error in it makes it useless, and has no other effect.
"""
