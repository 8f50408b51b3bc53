"""pcapng files: a chain of blocks -> records, and what the file says about itself.

The format is draft-ietf-opsawg-pcapng; read its sections 3.1 and 4 first. Packets are blocks of type 6 (enhanced), 3
(simple) and 2 (obsolete). A packet belongs to an interface of its section, which gives its link type, the resolution
of its time and an offset to it. Secrets, journals, custom and unknown blocks are skipped.

The modules, in the order in which data flows; each imports only from those before it:

- `blocks`: kinds of blocks, their chain, the first words of many of them as columns.
- `options`: the options at the end of a block, of one or of many.
- `interfaces`: link types, snaplens and clocks of interfaces.
- `packets`: packet blocks as columns.
- `notes`: names, comments, texts and drops, for `About`.
- `reader`: all of it, window by window, up to the first damage.
"""
