"""Octets in, tables of segments out. The only place that knows file formats, link layers and Scapy's sockets.

The modules and folders, in the order in which data flows; each imports only from those before it:

- `records`: what a file or an interface is cut into: blocks of records, single frames, and damage.
- `about`: what a file says about itself: comments, names, interfaces.
- `source`: octets as they arrive from a file or pipe, the part in memory, and what readers have in common.
- `remote`: the same from what fsspec opens: stores, servers.
- `ahead`: octets that a thread fetches before they are asked for.
- `compressed`: compression undone: gzip, zstd, xz, lzma, bzip2.
- `formats`: pcap, pcapng and snoop.
- `excerpt`: some octets of a file, read as if they were all of it.
- `files`: opens a file, pipe or file object, and recognises its format.
- `writing`: records -> files.
- `live`: records of interfaces.
- `headers`: link layers, tunnels, IP and what it carries, in columns.
- `fragments`: IP fragments, put together again.
- `inflating`: compressed payload of IP packets, inflated.
- `scapy_side`: records -> tables through Scapy.
- `block_builder`: the rows that are found slice by slice -> tables.
- `decode`: records -> tables.
- `forked_reader`: both of these by a copy of this process.
- `positions`: where each record stands in its file.
- `frames`: single frames, read again.
- `pieces`, `order`: the rows of one capture in order of time.
- `summary`: what is known of one capture as a whole.
- `merge`: several captures as one run, in order of time.
- `inputs`: what can be inspected, and how each kind of it is opened.
"""
