"""Captures that do not end: what is over leaves, and what stays is looked at again.

- `streams`: numbers of connections for good.
- `run_clock`: a time that never steps.
- `retention`: how long each connection stays, and what is counted of those that left.
- `looks`: which of those that were looked at leave.
- `attendance`: when each conversation was heard last, and when it is worth a look.
- `parts`: conversations that were looked at, and what goes of them.
- `endless_analysis`: the rounds in which they leave.
"""
