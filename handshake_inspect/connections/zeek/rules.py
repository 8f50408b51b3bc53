"""Zeek's result for one connection: the states of its ends, `conn_state` and `history`.

In: the token string of a connection (`tokens`). Out: both fields. In plain Python, once per distinct string; the effect
of a token on the states of both ends is also computed once. Rules followed: Zeek 7 (TCPSessionAdapter, TCP_Endpoint,
base/protocols/conn).

**Intended differences from Zeek.** Timers do not end a connection. Roles are ours, not guessed from ports: `^` is
written first if the responder was captured first, and a SYN captured after its SYN-ACK establishes both ends.
"""

from __future__ import annotations

from functools import lru_cache

from handshake_inspect.connections.splitting.rows import ORIGINATOR, RESPONDER
from handshake_inspect.connections.zeek.tokens import CONTROL, GAP_SHIFT, MOST_LETTERS, REPEATS_SHIFT, Token
from handshake_inspect.plain import mutable


class ZeekState:
    """Zeek's states of one end. Plain integers: enums have a slow hash."""

    INACTIVE = 0
    SYN_SENT = 1
    SYN_ACK_SENT = 2
    PARTIAL = 3
    ESTABLISHED = 4
    CLOSED = 5
    RESET = 6


@mutable
class _End:
    """State of an end, and the one before it."""

    state: int = ZeekState.INACTIVE
    before: int = ZeekState.INACTIVE

    def move(self, state: int) -> None:
        if state != self.state:
            self.before, self.state = self.state, state

    def is_clean(self) -> bool:
        """Return whether it is established, or was until its FIN. Gaps count only between two such ends."""
        return ZeekState.ESTABLISHED in ((self.state, self.before) if self.state == ZeekState.CLOSED else (self.state,))


#: The effect of a token: the stance of both ends after it, a bit for the letter of its control bits, and the text that
#: is written if that letter was not written before, and if it was.
Step = tuple[int, int, str, str]
#: A stance of both ends is one number: state and previous state of the originator, then of the responder, 3 bits each.
#: The key of a step is the stance, in the bits above those of the token, and the token.
STATE_BITS, TOKEN_BITS = 3, 16
MOST_STATE = (1 << STATE_BITS) - 1
#: Every step computed so far. There are some hundred tokens, and not many more stances.
_STEPS: dict[int, Step] = {}
MOST_STEPS = 1 << 16


@lru_cache(maxsize=1 << 12)
def watch(tokens: bytes) -> tuple[str, str]:
    """Process a connection as Zeek does. Returns its `conn_state` and its `history`. `tokens`: two octets each.

    For many strings `in_step` takes a quarter of the time.
    """
    string = memoryview(tokens).cast("H").tolist()
    stance, written = 0, 0
    text = "^" if string[0] & Token.BY_RESPONDER else ""
    for token in string:
        stance, letter, first, again = step_of(stance, token)
        text += again if written & letter else first
        written |= letter
    return conn_state(stance, string[0] & Token.EMPTY) or reset_alone(text), text


def conn_state(stance: int, is_empty: int) -> str:
    """Return the `conn_state` for the last stance; "" if it depends on the history (see `reset_alone`).

    `is_empty`: whether both ends sent an RST, and neither an octet.
    """
    mine, theirs = stance >> 3 * STATE_BITS & MOST_STATE, stance >> STATE_BITS & MOST_STATE
    return CONN_STATES[bool(is_empty)][mine][theirs]


def step_of(stance: int, token: int) -> Step:
    """Return the effect of a token on both ends."""
    return _STEPS.get(stance << TOKEN_BITS | token) or _step(stance, token)


#: A SYN-ACK after a SYN counts as another SYN.
ONCE = {"H": "S", "h": "s"}
#: Letters that are written once; "" is for a token without a letter.
LETTERS = ("", *"SFRIQDA", *"sfriqda")


def _step(stance: int, token: int) -> Step:
    """Compute the effect of a token on both ends and the text that is written; store it in `_STEPS`."""
    ends = _ends(stance)
    side = RESPONDER if token & Token.BY_RESPONDER else ORIGINATOR
    sender, peer = ends[side], ends[1 - side]
    letter = _letter(token)
    again = letter if token & Token.AGAIN and _is_written_again(letter, sender) else ""
    marks = ""
    if token & Token.ZERO_WINDOW and peer.state != ZeekState.CLOSED and sender.state != ZeekState.RESET:
        marks += _cased("W", side)
    if sender.state != ZeekState.RESET:
        marks += _cased("T", side) * (token >> REPEATS_SHIFT & MOST_LETTERS)
    _advance(token, side, sender, peer)
    if sender.is_clean() and peer.is_clean():
        marks += _cased("G", 1 - side) * (token >> GAP_SHIFT & MOST_LETTERS)
    letter, again = _cased(letter, side), _cased(again, side)
    if len(_STEPS) >= MOST_STEPS:
        _STEPS.clear()
    step = _stance(ends), 1 << LETTERS.index(ONCE.get(letter, letter)), letter + marks, again + marks
    _STEPS[stance << TOKEN_BITS | token] = step
    return step


def _stance(ends: tuple[_End, _End]) -> int:
    stance = 0
    for end in ends:
        stance = (stance << STATE_BITS | end.state) << STATE_BITS | end.before
    return stance


def _ends(stance: int) -> tuple[_End, _End]:
    states = [stance >> STATE_BITS * place & MOST_STATE for place in (3, 2, 1, 0)]
    return _End(*states[:2]), _End(*states[2:])


def _cased(letters: str, side: int) -> str:
    return letters.lower() if side == RESPONDER else letters


def _letter(token: int) -> str:
    """Return the letter of a row's control bits, in the originator's upper case."""
    control = token & CONTROL
    if control & (control - 1):  # more than one bit
        return "I" if control & Token.FIN and control & Token.RST else "Q"
    if control:
        return {Token.SYN: "H" if token & Token.ACK else "S", Token.FIN: "F", Token.RST: "R"}[control]
    return "D" if token & Token.DATA else "A" if token & Token.ACK else ""


def _is_written_again(letter: str, sender: _End) -> bool:
    """Return whether a letter is written once more if its row has another number than the one before.

    At an open end another SYN replaces the one that counts: its number is then 0, as before.
    """
    closed = sender.state == ZeekState.CLOSED or (
        sender.state == ZeekState.RESET and sender.before != ZeekState.INACTIVE
    )
    return letter in ("F", "R") or closed


def _advance(token: int, side: int, sender: _End, peer: _End) -> None:
    """Change the ends' states by one row."""
    syn, fin, rst = token & Token.SYN, token & Token.FIN, token & Token.RST
    match sender.state:
        case ZeekState.INACTIVE:
            _first_word(token, side, sender, peer)
        case ZeekState.SYN_SENT | ZeekState.SYN_ACK_SENT:
            if fin:
                sender.move(ZeekState.CLOSED)
            if rst:
                sender.move(ZeekState.RESET)
        case ZeekState.ESTABLISHED | ZeekState.PARTIAL:
            if syn and not token & Token.ACK and (sender.state, peer.state) == (ZeekState.PARTIAL, ZeekState.INACTIVE):
                sender.move(ZeekState.SYN_SENT)
            if fin and not rst:
                sender.move(ZeekState.CLOSED)
                if (peer.state, peer.before) == (ZeekState.RESET, ZeekState.CLOSED):
                    peer.move(ZeekState.CLOSED)  # a FIN and then an RST, now answered: an ordinary close
            if rst:
                sender.move(ZeekState.RESET)
        case ZeekState.CLOSED:
            if rst and peer.state != ZeekState.CLOSED:
                sender.move(ZeekState.RESET)


def _first_word(token: int, side: int, sender: _End, peer: _End) -> None:
    """Change the state of an end that was silent so far, or that has only acknowledged a SYN."""
    if token & Token.SYN:
        if side == RESPONDER or (not token & Token.ACK and peer.state == ZeekState.ESTABLISHED):
            if peer.state == ZeekState.SYN_SENT or (peer.state == ZeekState.SYN_ACK_SENT and not token & Token.ACK):
                peer.move(ZeekState.ESTABLISHED)
            sender.move(ZeekState.ESTABLISHED)
        else:
            sender.move(ZeekState.SYN_ACK_SENT if token & Token.ACK else ZeekState.SYN_SENT)
    if token & Token.FIN:
        sender.move(ZeekState.CLOSED)
    if token & Token.RST:
        sender.move(ZeekState.RESET)
    if sender.state != ZeekState.INACTIVE:
        return
    if side == RESPONDER and not token & Token.DATA and peer.state == ZeekState.SYN_SENT:
        return  # some stacks acknowledge a SYN before they answer it
    if token & Token.ACK and peer.state == ZeekState.ESTABLISHED:
        sender.move(ZeekState.ESTABLISHED)
    else:
        sender.move(ZeekState.PARTIAL)


def _conn_state(mine: int, theirs: int, *, is_empty: bool) -> str:
    """Return Zeek's verdict on the final states of originator and responder. The order of the tests matters."""
    silent = (ZeekState.INACTIVE, ZeekState.PARTIAL)
    if theirs == ZeekState.RESET:
        if mine in (ZeekState.SYN_SENT, ZeekState.SYN_ACK_SENT) or (mine == ZeekState.RESET and is_empty):
            return "REJ"
        return "RSTRH" if mine in silent else "RSTR"
    if mine == ZeekState.RESET:
        return "" if theirs in silent else "RSTO"
    if mine == ZeekState.CLOSED:
        return "SF" if theirs == ZeekState.CLOSED else "SH" if theirs in silent else "S2"
    if theirs == ZeekState.CLOSED:
        return "SHR" if mine in silent else "S3"
    if (mine, theirs) == (ZeekState.SYN_SENT, ZeekState.INACTIVE):
        return "S0"
    return "S1" if (mine, theirs) == (ZeekState.ESTABLISHED, ZeekState.ESTABLISHED) else "OTH"


def reset_alone(history: str) -> str:
    """Return Zeek's verdict on a reset by the originator to which no answer was captured.

    It is RSTOS0 if the originator sent a SYN, then an RST, and between them nothing that another end would have
    answered.
    """
    after_syn = history.removeprefix("^")
    if not after_syn.startswith("S") or "R" not in after_syn:
        return "OTH"
    return "OTH" if set("HAFGIQ") & set(after_syn[: after_syn.index("R")]) else "RSTOS0"


#: The verdict by both final states, for connections with octets and for empty ones.
CONN_STATES = [
    [[_conn_state(mine, theirs, is_empty=is_empty) for theirs in range(7)] for mine in range(7)]
    for is_empty in (False, True)
]
