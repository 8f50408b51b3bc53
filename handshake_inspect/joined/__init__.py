"""The same connections captured at two places, joined: what happened to them on the way between.

- `vantage`: what one capture shows, in columns
- `strangers`: whether two connections that have little in common are one
- `pairing`: which connection of one place is which of the other
- `aligned`: the segments of both places, in the same terms
- `times`: how long segments seem to be under way; which of several alike is which, by that
- `matching`: which segment of one place is which of the other
- `drift`: what bounds of the clocks say of other times than their own
- `clocks`: which end each place is near, and how far their clocks are apart
- `pieces`: octets that both places saw, in segments of different sizes
- `proofs`: what arrived for sure, though the capture where it arrived does not show it
- `fates`: what died, was copied, was made or was overtaken on the way
- `changes`: what was changed there
- `ways`: how the segments of each end fared, counted; how long they were under way
- `comparison`: all of this, wired
- `differences`: what one segment said when it was sent, and when it arrived, in words
- `model`: what a person asks about, as plain data
- `errors`: at which of the places each ICMP error was seen
- `described`: columns -> a connection
- `order`: what happened at two places, in one order
- `spelling`: one spelling for the numbers of a connection, whichever place tells them
- `crossing`: columns -> the segments of a connection, in that order
- `join`: two captures -> joined connections
"""
