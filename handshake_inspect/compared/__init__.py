"""Two runs of the same programs, compared: what differs though the numbers, ports and times always do.

In the order in which data flows:

- `normal`: what of a connection is the same in every run.
- `digests`: all of that in one digest per connection, made in columns.
- `pairing`: which connection of one capture is which of the other.
- `difference`: where two connections part.
- `alignment`: which of their rows stand beside each other.
- `comparison`: two captures, connection by connection.
- `golden`: the text of ladders in a repository, compared with what a capture shows now.
"""
