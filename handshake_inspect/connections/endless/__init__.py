"""Captures that do not end: connections that are over are released, the others are checked again later.

- `streams`: permanent numbers of connections.
- `run_clock`: a time that never steps back.
- `retention`: how long each connection is kept, and the counts of those released.
- `looks`: which of the checked connections are released.
- `attendance`: when each conversation last had a segment, and when it is due for a check.
- `parts`: checked conversations, and the rows and errors released with them.
- `endless_analysis`: the rounds in which connections are released.
"""
