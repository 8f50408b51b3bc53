"""`python -m handshake_inspect`."""

from handshake_inspect.cli import main

if __name__ == "__main__":
    main()
