"""The same letters for the numbers of a connection at both places.

In: what each place says of its segments, in its own letters. Out: the same in the letters of both: x and y stand for
the ends as the first place has them, also where only the other place has seen their SYNs; u for the FIN of the end
that closed first there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from handshake_inspect.connections.connection import Step
from handshake_inspect.connections.events.kinds import SIDES
from handshake_inspect.joined.aligned import Origins
from handshake_inspect.tcp.seqnum import MODULUS, spelled

FINS = ("u", "w")
EXCHANGED = str.maketrans("xy", "yx")


@dataclass
class Spelling:
    """The letters for the numbers of one connection."""

    origins: Origins
    number: int
    #: The letter of the FIN of each end, by side; and by which an end of the second place is meant.
    fins: dict[int, str]
    #: By place: are the ends of the connection exchanged there?
    exchanged: Sequence[bool]

    @classmethod
    def of(cls, origins: Origins, number: int, told: Sequence[Collection[Step]], exchanged: Sequence[bool]) -> Spelling:
        """Take the letters of one place, and of the other if that has none. `told`: by place, what it says."""
        fins = [{side ^ other: letter for side, letter in _fins(steps).items()}
                for steps, other in zip(told, exchanged, strict=True)]  # fmt: skip
        return cls(origins, number, fins[0] or fins[1], exchanged)

    def spell(self, step: Step, seq: int, ack: int, *, is_second: bool) -> Step:
        """Return a step of a place with these letters. `seq`, `ack`: its numbers, counted from the origins."""
        exchanged = self.exchanged[is_second]
        side = SIDES.index(step.sender) ^ exchanged
        symbolic_ack = relative_ack = absolute_ack = None
        if step.symbolic_ack is not None:
            relative_ack, absolute_ack = ack, self._absolute(1 - side, ack)
            symbolic_ack = self._symbol(step.symbolic_ack, 1 - side, ack, exchanged=exchanged)
        return replace(
            step,
            seq=self._absolute(side, seq),
            ack=absolute_ack,
            relative_seq=seq,
            relative_ack=relative_ack,
            symbolic_seq=self._symbol(step.symbolic_seq, side, seq, exchanged=exchanged),
            symbolic_ack=symbolic_ack,
        )

    def _absolute(self, side: int, relative: int) -> int:
        return (int(self.origins.number[self.number, side]) + relative) % MODULUS

    def _symbol(self, own: str, side: int, relative: int, *, exchanged: bool) -> str:
        """Return what a place spells `own`, in the letters of both."""
        letter = own[:1]
        if letter in FINS:
            return self.fins.get(side, letter) + own[1:]
        if letter == "v" and self.fins.get(1 - side, "u") == "u":
            return own
        if letter in "xy":
            return spelled(letter.translate(EXCHANGED) if exchanged else letter, relative)
        if self.origins.is_initial[self.number, side]:
            return spelled("xy"[side], relative)
        return own if own == str(self._absolute(side, relative)) else str(relative)


def _fins(steps: Collection[Step]) -> dict[int, str]:
    """Return the letter of each end's FIN, by side, as one place has it."""
    return {
        SIDES.index(step.sender): line.name for step in steps for line in step.arithmetic if line.name in FINS
    } | {
        SIDES.index(step.sender): step.symbolic_seq
        for step in steps
        if "FIN" in step.flags.split(",") and step.symbolic_seq in FINS
    }  # fmt: skip
