"""The kernel's own account of a run, beside which the states that we read from the capture are laid.

Reading order; a module imports only from those above it:

- `sock_diag`: the TCP sockets of this moment, half-open and TIME-WAIT included; no privilege
- `entry_table`: the same as columns, for tens of thousands of them
- `ring_buffer`, `tracepoint`: every change of state, root only
- `account`: what was told, plain data
- `watch`: a process that notes it while programs run
- `differences`: the table of all that is translated
- `translation`: the kernel's account in the words of RFC 9293
- `association`: which sockets were which connection
- `uncaptured`: what a socket did that no captured segment shows
- `agreement`: both accounts compared, state by state
"""
