"""The table of findings over all captures: how often each code is found in each. Read it line by line.

`python -m tests.findings.golden` writes it anew, of ours and of the public captures (HANDSHAKE_CAPTURES).
"""

from __future__ import annotations

from pathlib import Path

from tests.findings.captures import OURS, all_names, codes_in, inspected

TABLE = Path(__file__).with_name("golden.tsv")


def lines(names: list[str]) -> list[str]:
    """Return the lines of the table for these captures."""
    found = []
    for name in names:
        where = "pcaps" if (OURS / name).exists() else "public"
        counts = sorted(codes_in(name).items())
        said = " ".join(f"{code}×{count}" for code, count in counts) or "-"
        found.append(f"{where}\t{name}\t{len(inspected(name).connections)}\t{said}")
    return found


if __name__ == "__main__":
    TABLE.write_text("\n".join(["where\tcapture\tconnections\tfindings", *lines(list(all_names()))]) + "\n")
