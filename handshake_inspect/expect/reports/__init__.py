"""What became of checks, for people and for machines.

In the order of the imports:

- `text`: a line for each failure, with the ladder that shows it
"""
