"""TIME-WAIT timed against the kernel's own timer (RFC 9293 §3.6.1; Linux: 60 s, by a timer wheel).

Reading order; a module imports only from those above it:

- `wheel`: when Linux lets a timer of 60 s fire; plain arithmetic
- `jiffies`: where the grid of that wheel lies, found out without privilege
- `counters`: what the kernel counts about TIME-WAIT
- `following`: one entry of the kernel, from look to look
- `endings`: what ended the entry, and the evidence
- `staying`: a session of the lab whose network stays until its TIME-WAIT is over
- `reckoning`: the prediction of the capture beside what the kernel did
- `census`: how many entries each socket of this host holds
- `observing`: all entries of this host, from look to look
- `binding`: attempts to bind and connect beside TIME-WAIT
"""
