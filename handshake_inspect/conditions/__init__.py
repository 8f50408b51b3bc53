"""Conditions over the fields of a connection in the JSON contract: what `--where` and `where = "..."` mean.

In the order of the imports:

- `condition`: the tree of a condition, and whether it holds of a contract object
- `parser`: from text to that tree; what is wrong is said with its place
"""
