"""Headers in columns: from the first octet of each frame to the transports in it.

The modules; each imports only from those before it:

- `layers`: a slice of records in columns, and its headers that are still to be read.
- `ip`, `ordinary`: find where the transport header of each packet begins; `ordinary` does it for most packets at once.
- `link`, `serial`, `link_types`, `wlan`: the headers between the first octet of a frame and its IP packet.
- `gre`, `l2tp`: tunnels over IP or UDP.
- `udp_tunnels`, `ip_tunnels`: all tunnels over UDP, and those with a header kind of their own.
- `options`: TCP option lists.
- `icmp`: ICMP errors and the packets that they quote.
- `transports`: TCP and UDP headers, and the rows of all three tables.
"""
