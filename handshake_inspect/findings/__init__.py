"""What an expert would notice: rules over connections and over the run, one function each.

The modules, in the order in which data flows:

- `evidence`, `run`: what rules look at: the columns of one partition, and of the whole run.
- `rule`: what a rule is; its docstring is its page.
- `opening`: the rules over connections, in the order of a connection's life.
- `listeners`, `scans`: the rules over the run.
- `catalogue`: all of them, and what applies them.
"""
