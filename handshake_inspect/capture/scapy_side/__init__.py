"""The same as `headers` and `decode` through Scapy's dissectors, one frame at a time.

For headers that we do not read ourselves, and to check those that we do. The modules, in the order in which data flows;
each imports only from those before it. Only `reader` can be imported without Scapy:

- `layers`: headers as Scapy's classes.
- `places`: the place in a frame at which a header begins.
- `ethertypes`, `links`, `wlan`, `tunnels`: steps from one place in a frame to the next.
- `quotes`: the quotes in ICMP errors.
- `packets`: places -> rows.
- `reader`: records -> tables.
"""
