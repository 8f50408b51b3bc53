"""File formats: octets of a file -> records.

The modules, in the order in which data flows; each imports only from those before it:

- `walk`: where each record of a block begins.
- `chained`: what readers of records with one header each have in common.
- `pcap`, `snoop`: chains of records.
- `pcapng`: a chain of blocks.
- `foreign`: what a file is that is none of these.
"""
