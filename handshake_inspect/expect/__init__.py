"""Expectations of captures, for CI: read, compared with what was found, and recorded.

In the order of the imports:

- `beside`: the name of the file with the expectations of a capture
- `amounts`: exact numbers and bounds
- `subject`: one connection, and the rows of its ladder that decide how it opened and closed
- `claims`: what can be expected of a connection, one class for each kind
- `keys`: the same from the value of a key
- `places`: where an expectation is written, and the error for one that cannot be used
- `selecting`: the connections that an expectation is about
- `alike`: groups of connections that are equal in some columns, so that one check is enough for each
- `expectations`: all that is expected of a capture
- `understanding`: the same from a document; unknown keys are refused
- `written`: the same from a file
- `ladders`: golden text compared with the ladders that a capture shows now
- `matching`: expectations and an inspection -> checks, met or not
- `recording`, `updating`: a capture -> expectations; the same in a file that exists
- `checked`: the results of all checks, in sentences
- `reports`: the same for people and for machines
"""
