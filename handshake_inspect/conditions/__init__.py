"""Selection of connections: the meaning of `--where`, `--host`, `--since` and similar options, also in files.

In the order of the imports:

- `condition`: the tree of a condition over the fields of the JSON contract, and whether it holds of a connection
- `parts`: the fields that a condition or an order uses, from columns, and the connections for which a condition holds
- `known`: the fields that there are, and what other names mean
- `parser`: from text to that tree; errors name their place
- `moments`: points in time as people write them
- `selection`: addresses, ports, times and stream numbers, compared with the columns
"""
