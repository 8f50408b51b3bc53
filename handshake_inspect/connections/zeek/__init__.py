"""What Zeek makes of the same segments: `conn_state`, `history`, octets and times by its rules.

- `reach`: the highest numbers so far, and letters at powers of ten.
- `gaps`: octets that were acknowledged before they were captured.
- `tokens`: rows as tokens, and strings of them.
- `rules`: what Zeek's rules make of one string.
- `in_step`: the same for many strings at once.
- `sizes`: octets and times as Zeek counts them.
- `uid`: identifiers of connections in Zeek's form.
"""
