"""Headers in columns: from the first octet of each frame to the transports that it holds.

The modules; each imports only from those before it:

- `layers`: a slice of records in columns, and the headers of it that are still to be read.
- `ip`, `ordinary`: where the transport header of each packet begins; the latter for most packets at once.
- `link`, `serial`, `link_types`, `wlan`: what stands between the first octet of a frame and its IP packet.
- `gre`, `l2tp`: tunnels that IP and UDP may carry.
- `udp_tunnels`, `ip_tunnels`: all tunnels in UDP, and those with a header kind of their own.
- `options`: TCP option lists.
- `icmp`: what ICMP errors say and quote.
- `transports`: TCP and UDP headers, and the rows of all three.
"""
