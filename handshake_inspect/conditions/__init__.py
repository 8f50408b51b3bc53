"""Which connections: what `--where`, `--host`, `--since` and the like mean, on a command line or in a file.

In the order of the imports:

- `condition`: the tree of a condition over the fields of the JSON contract, and whether it holds of a connection
- `parts`: what a condition or an order looks at, from columns, and which connections a condition holds of
- `parser`: from text to that tree; what is wrong is said with its place
- `moments`: points in time as people write them
- `selection`: addresses, ports, times and numbers of streams, asked of the columns
"""
