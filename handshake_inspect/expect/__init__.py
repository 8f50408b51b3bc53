"""Expectations of captures, for CI: read, held against what was found, recorded.

In the order of the imports:

- `beside`: what the file beside a capture is called that says what to expect of it
- `amounts`: how many
- `subject`: one connection, and the row of its ladder at which each thing was decided
- `claims`: what can be expected of a connection, one class for each kind
- `keys`: the same from the value of a key
- `places`: where an expectation is written, and what is said of one that cannot be used
- `selecting`: which connections it is about
- `alike`: connections in which everything is equal that is asked, so that one is asked for all of them
- `expectations`: all that is expected of a capture
- `understanding`: the same from a document; keys that are not known are refused
- `written`: the same from a file
- `ladders`: golden text, against the ladders that a capture shows now
- `matching`: what is as expected, and what is not
- `recording`, `updating`: from a capture to what can be expected of it; the same in a file that is there
- `checked`: what became of the checks of one capture, in sentences
- `reports`: the same for people and for machines
"""
