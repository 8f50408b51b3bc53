"""The same as `headers` and `decode` through Scapy's dissectors, one frame at a time.

For what we do not read ourselves, and as the oracle of what we do. The modules, in the order in which data flows; each
imports only from those before it. Only `reader` can be imported without Scapy:

- `layers`: headers as Scapy's classes.
- `places`: where in a frame a header begins.
- `ethertypes`, `links`, `wlan`, `tunnels`: from one place in a frame to the next.
- `quotes`: what ICMP errors quote.
- `packets`: places -> rows.
- `reader`: records -> tables.
"""
