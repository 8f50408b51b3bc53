"""Octets in, tables of segments out. The only folder that knows file formats, link layers and Scapy's sockets.

The modules and folders, in the order in which data flows; each imports only from those before it:

- `records`: what a file or an interface is divided into: blocks of records, single frames, and damage.
- `about`: what a file says about itself: comments, names, interfaces.
- `source`: octets as they arrive from a file or pipe, the window of them in memory, and the base of readers.
- `remote`: the same for files that fsspec opens on object stores and servers.
- `ahead`: reads octets ahead in a thread.
- `compressed`: decompresses gzip, zstd, xz, lzma and bzip2.
- `formats`: pcap, pcapng and snoop.
- `excerpt`: parts of a file, read as if they were the whole file.
- `files`: opens a file, a pipe or a file object, and recognises its format.
- `writing`: records -> files.
- `live`: records of interfaces.
- `headers`: link layers, tunnels, IP and its payload, in columns.
- `fragments`: reassembles IP fragments.
- `inflating`: inflates compressed payload of IP packets.
- `scapy_side`: records -> tables through Scapy.
- `block_builder`: rows found slice by slice -> tables.
- `decode`: records -> tables.
- `forked_reader`: reads and decodes in a forked process.
- `positions`: the offset of each record in its file.
- `frames`: single frames, read again.
- `pieces`, `order`: the rows of one capture in order of time.
- `summary`: facts about one capture as a whole.
- `merge`: several captures as one run, in order of time.
- `inputs`: what can be inspected, and how each kind of input is opened.
"""
