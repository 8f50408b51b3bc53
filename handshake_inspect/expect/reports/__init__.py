"""Reports of checks, for people and for machines: a `CheckedRun` -> pieces of text.

In the order of the imports:

- `text`: a line for each failure, with the ladder that shows it
- `as_json`: one document with all of it
- `junit`: JUnit XML, which CI servers show as test cases
- `tap`: the Test Anything Protocol
- `github`: annotations in a pull request, and the summary of a job
"""
