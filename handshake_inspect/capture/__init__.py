"""Octets in, tables of segments out. The only place that knows file formats, link layers and Scapy's sockets.

The modules, in the order in which data flows; each imports only from those before it:

- `records`: what a file or an interface is cut into: blocks of records, single frames, and damage.
- `about`: what a file says about itself: comments, names, interfaces.
- `source`: octets as they arrive from a file or pipe, the part in memory, and what readers have in common.
- `compressed`: compression undone: gzip, zstd, xz, lzma, bzip2.
- `walk`: where each record of a block begins.
- `chained`: what readers of records with one header each have in common.
- `pcap`, `snoop`: octets of a file -> records.
- `pcapng_blocks`: the rarer blocks and the options of pcapng.
- `pcapng`: octets of a file -> records.
- `foreign`: what a file is that is none of these.
- `files`: opens a file, pipe or file object, and recognises its format.
- `live`: records of an interface.
- `layers`: a slice of records in columns, and the headers of it that are still to be read.
- `link`, `serial`, `link_types`, `wlan`: what stands between the first octet of a frame and its IP packet.
- `ip`, `tunnels`: where the transport header of each packet begins, and packets in packets.
- `fragments`: IP fragments, put together again.
- `options`: TCP option lists.
- `icmp`: what ICMP errors say and quote.
- `scapy_layers`: headers as Scapy's classes.
- `scapy_places`: where in a frame a header begins.
- `scapy_links`, `scapy_wlan`, `scapy_ethertypes`, `scapy_tunnels`: from one place in a frame to the next.
- `scapy_packets`: places -> rows.
- `scapy_reader`: records -> tables through Scapy, for what is not read here and as an oracle of what is.
- `decode`: records -> tables.
- `frames`: single frames, read again.
- `pieces`, `order`: rows of one capture -> the same in order of time.
- `merge`: several captures -> one run in order of time.
- `inputs`: what can be inspected, and how each kind of it is opened.
"""
