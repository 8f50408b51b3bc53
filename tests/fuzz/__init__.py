"""Fuzzing of what reads octets from outside: `targets` says what must hold, `explore` looks for what breaks it."""
