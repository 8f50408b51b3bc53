"""The rules of RFC 9293, and nothing else: no I/O, no numpy, no Scapy.

Reading order: `seqnum` (arithmetic modulo 2**32), `states` (the state diagram as one table), `sections` (the section
of the RFC for each cell of it), `options` (the option list of a header), `sack` (the blocks of selective
acknowledgment), `icmp` (what an ICMP error means to TCP), `time_wait` (how long it lasts on which system).
"""
