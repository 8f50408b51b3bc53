"""Records -> capture files: pcapng, pcap, one file or a rotation of them.

The modules, in the order in which data flows; each imports only from those before it:

- `output`: a file that ends with a whole piece whatever happens; frames laid out between headers and trailers.
- `pcap`: one link type, one header in front of each frame.
- `pcapng`: interfaces with their names, direction, drops.
- `rotation`: file after file by size or time, of which the last are kept; and which format a name asks for.
"""
