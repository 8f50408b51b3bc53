"""Records -> capture files: pcapng, pcap, one file or a rotation of them.

The modules, in the order in which data flows; each imports only from those before it:

- `output`: a file that always ends with a whole piece; frames laid out between headers and trailers.
- `pcap`: one link type, one header before each frame.
- `pcapng`: interfaces with their names, direction of frames, drops.
- `rotation`: a series of files by size or time, of which the last are kept; and the format for a file name.
"""
