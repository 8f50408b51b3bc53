"""Real sockets that make every kind of connection, and the kernel's own account of them.

Reading order: `calls` (a socket whose calls are noted), `echo` (the programs), `programs` (two of them as two
processes), `scenarios` (which programs make which kind of connection), `world` (a private network to run them in),
`router` (three hosts in it, for ICMP errors), `session` (capture and programs together), `replay` (sessions that were
recorded, shipped with the package), `record` (sessions saved as captures, with a page of what each must show).
"""
