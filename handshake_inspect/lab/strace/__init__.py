"""The socket calls of any program, out of a log that strace(1) wrote of it.

In reading order:

- `lines`: lines of the log -> system calls, each with the moments in which it was entered and returned
- `arguments`: text of arguments -> strings, addresses and descriptors
- `descriptors`: which socket a descriptor of a process is: tables that are shared, copied and closed
- `spelling`: a system call in the words of this project's ladders
- `sockets`: system calls -> sockets with their `SocketCall`s
- `log`: a file -> its sockets, and what of it could not be read
- `causes`: a call and the segments of a connection -> the segment that it waited for, and the one that it sent
- `beside`: sockets and the connections of a capture -> the connection of each call
"""
