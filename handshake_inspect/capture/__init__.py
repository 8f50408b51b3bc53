"""Octets in, tables of segments out. The only place that knows file formats, link layers and Scapy's sockets.

Reading order: `records` (what a file or an interface is cut into), `files` (a file, pipe or file object, opened),
`walk`, `pcap` and `pcapng` (records of a file), `live` (records of an interface), `link`, `options`, `icmp` and
`decode` (records -> tables), `scapy_reader` (the same through Scapy), `frames` (single frames, read again).
"""
