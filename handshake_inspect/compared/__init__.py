"""Two runs of the same programs, compared: what differs though the numbers, ports and times always do.

In the order in which data flows:

- `normal`: what of a connection is the same in every run.
- `golden`: the text of ladders in a repository, compared with what a capture shows now.
"""
