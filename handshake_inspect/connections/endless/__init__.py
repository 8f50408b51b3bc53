"""Captures that do not end: what is over leaves, and what stays is looked at again.

- `streams`: numbers of connections for good.
- `run_clock`: a time that never steps.
- `retention`: who may leave when.
- `endless_analysis`: the rounds in which they leave.
"""
