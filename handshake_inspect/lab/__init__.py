"""Real sockets that make every kind of connection, and the kernel's own account of them.

The modules and folders, in an order in which each imports only from those before it. Programs and their sockets:

- `calls`: a socket whose calls are noted.
- `world`: a private network, in a forked child.
- `echo`: an echo server and its client.
- `programs`: programs run as processes.

Several hosts, and what happens to segments between them:

- `segments`: what the lab needs to know of a frame.
- `altering`: segments that no kernel sends: forged, or changed on the way.
- `hosts`, `links`: network namespaces, and links between them.
- `rules`, `relay`, `wire`: a wire that loses, holds, delays, doubles and reorders segments by rule.
- `router`: three hosts, so that real ICMP errors cross a wire.

Scenarios, and what the kernel says about them:

- `kernel`: the kernel's own account of both ends.
- `bench`: the hosts and the wire that a script works with.
- `checkpoint`: a connection taken down and put up again later.
- `scenarios`: who performs what, and what must be found in its capture.
- `ground`: the network that a scenario needs.
- `performing`: programs or a script, performing a scenario.

Sessions: capture, performance and kernel together:

- `vantage`: captures at the interfaces of hosts.
- `plain`: a capture of loopback that sees every frame twice.
- `session`: one session from beginning to end.
- `expected`: what a scenario promises, compared with what was found.
- `page`, `replay`, `record`: sessions saved as captures, with a page about them, and those shipped with the package.
- `trials`: many scenarios at once.
- `telling`: a child that reports while it works.
- `time_wait`: TIME-WAIT timed against the kernel's own timer.
- `whose`: the calls that belong beside the ladder of one connection.

Other programs:

- `by_hand`: the programs of the socket tutorials, for two terminals.
- `strace`: the socket calls of any program.
- `processes`: the processes below this one.
- `command`: any command in a private world, watched.

`recorded` holds the captures that are shipped.
"""
