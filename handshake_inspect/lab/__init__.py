"""Real sockets that make every kind of connection, and the kernel's own account of them.

Reading order: `world` (a private network), `calls` (a socket whose calls are noted), `echo` (two programs), `programs`
(run as processes), `hosts`, `links`, `router`, `rules`, `relay`, `wire` (several hosts, and what happens between
them), `bench` (what a script works with), `scenarios` (who performs what, and what must be found), `kernel` (what the
kernel itself says of both ends), `session` (capture, performance and kernel together), `expected` (what was found held
against what was promised), `record` and `page` (sessions saved as captures), `replay` (recorded sessions that are
shipped with the package), `trials` (many scenarios at once).

Other programs: `command` (any command in a private world, watched; `processes` are what it starts), and `strace` (the
socket calls of any program).

The programs by hand are in `by_hand`.
"""
