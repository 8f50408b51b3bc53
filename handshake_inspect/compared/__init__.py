"""Two runs of the same programs compared, without the numbers, ports and times that always differ.

In the order in which data flows:

- `normal`: the traits of a connection that are the same in every run.
- `digests`: one digest of these traits per connection, made in columns.
- `pairing`: the connections of one capture -> those of the other.
- `difference`: the first difference between two connections.
- `alignment`: which of their rows are drawn beside each other.
- `comparison`: two captures, connection by connection.
- `golden`: the text of ladders in a repository, compared with what a capture shows now.
"""
