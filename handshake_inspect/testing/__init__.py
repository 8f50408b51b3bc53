"""Support for tests: captures from files, or recorded while a test runs, and reports that show why it failed.

The modules, in the order in which data flows; each imports only from those before it:

- `drawing`: ladders, lists of connections and paths as plain text, for messages.
- `handshakes`: `Handshakes`: the connections of a capture, to be asserted on.
- `recording`: loopback recorded into a file while a block of a test runs.
- `reporting`: additions to the report of a failure: ladders, and the file of a live capture.
- `isolation`: permission to capture, and tests that run in a forked child with a network of its own.

`pytest_plugin` turns them into fixtures and hooks; of these modules only `isolation` needs pytest.
"""
