"""Captures that do not end: what is over leaves, and what stays is looked at again.

- `streams`: numbers of connections for good.
- `run_clock`: a time that never steps.
- `leaving`: who may leave when.
- `going`: the rounds in which they leave.
"""
