"""The same segments by Zeek's rules: `conn_state`, `history`, octets and times.

- `reach`: the highest numbers so far, and letters at powers of ten.
- `gaps`: octets that were acknowledged before they were captured.
- `tokens`: rows as tokens, and strings of them.
- `rules`: the result of Zeek's rules for one string.
- `in_step`: the same for many strings at once.
- `sizes`: octets and times as Zeek counts them.
- `uid`: identifiers of connections in Zeek's form.
"""
