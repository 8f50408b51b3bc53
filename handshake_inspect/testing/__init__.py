"""What a test holds in its hand: captures from files, or recorded while it runs, and reports that show why it failed.

The modules, in the order in which data flows; each imports only from those before it:

- `drawing`: ladders, lists of connections and paths as plain text, for messages.
- `handshakes`: `Handshakes`: the connections of a capture, to be asserted on.
- `recording`: loopback recorded into a file while a block of a test runs.
- `reporting`: what a report of a failure gets: ladders, and the file where a live capture is kept.
- `isolation`: who may capture, and tests run in a forked child that has a network of its own.

`pytest_plugin` makes fixtures and hooks of them; of these modules only `isolation` needs pytest.
"""
