"""Octets in, tables of segments out. The only place that knows file formats, link layers and Scapy's sockets.

The modules, in the order in which data flows; each imports only from those before it:

- `records`: what a file or an interface is cut into: blocks of records, single frames, and damage.
- `source`: octets as they arrive from a file or pipe, the part in memory, and what readers have in common.
- `walk`: where each record of a block begins.
- `pcap`, `pcapng`: octets of a file -> records.
- `files`: opens a file, pipe or file object, and recognises its format.
- `live`: records of an interface.
- `link`: where the IP packet of each frame begins.
- `ip`: where the transport header of each packet begins.
- `options`: TCP option lists.
- `icmp`: what ICMP errors quote.
- `scapy_reader`: records -> tables through Scapy, for what is not read here and as an oracle of what is.
- `decode`: records -> tables.
- `frames`: single frames, read again.
- `pieces`, `order`: rows of one capture -> the same in order of time.
- `merge`: several captures -> one run in order of time.
- `inputs`: what can be inspected, and how each kind of it is opened.
"""
