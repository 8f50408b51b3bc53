"""What makes the second `show` of a big capture instant: an index beside it, made while it is read once.

The modules, in the order in which data flows:

- `identity`: which file it was made of, and whether that is still the same.
- `typed`: plain data as JSON, and back, if it is what it should be.
- `making`: an inspection -> an index.
- `index`: an index -> a connection with its segments, from the frames of its conversation alone.

An index keeps what a conversation's own frames cannot tell: where these stand, the numbers of its connections, what was
found over the whole run, and the overview of it. All else is found anew, by the same code, of the segments that are
read again; so an index answers octet for octet what the capture does. It may be changed by others as the capture may:
it is read as any input is, and what is wrong with it makes it useless, no more.
"""
