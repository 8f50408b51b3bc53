"""What RFC 9293 says, and nothing else: no I/O, no numpy, no Scapy.

Reading order: `seqnum` (arithmetic modulo 2**32), `states` (the state diagram as one table), `sections` (where the RFC
says each cell of it), `options` (the option list of a header), `sack` (the blocks of selective acknowledgment), `icmp`
(what an ICMP error tells TCP), `time_wait` (how long it lasts, by whose rules).
"""
