"""Any command in a network of its own, watched: `sniff -- COMMAND`.

A child of this process makes a private world (`lab.world`), opens a capture there, starts the command with the
terminal's own streams, and calls a function that takes the frames as they come. The world has a loopback interface
only, and every port may be bound. Watching ends when the command has ended and the kernel has finished its closings;
processes that the command left behind are ended then, because their network goes. Ctrl-C goes to the command, as it
does in a shell.

The modules, in the order in which each imports only from those before it:

- `refusals`: what cannot be run, and what strace cannot trace, found out before anything starts.
- `signals`: which signals this process hands on to the command.
- `running`: the command while it runs: its frames, its processes, its end.
- `run`: all of it together: `run_command`.
"""
