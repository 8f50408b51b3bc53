"""Records of network interfaces, as the frames come. Linux only, and only when a capture is opened.

The modules, in the order in which data flows; each imports only from those before it:

- `interfaces`: what is captured on: names, numbers and types of interfaces, and what goes wrong with them.
- `filtering`: which frames the kernel keeps for us: a classic BPF program of ours, and libpcap's behind it.
- `timestamps`: the kernel stamps frames as they arrive.
- `ring`: the memory into which the kernel puts frames, and how they are found in it.
- `opening`: Scapy's packet socket, with ring and filter.
- `capture`: frames as blocks of records: `LiveCapture`.
- `privileges`: given up once a capture is open.
"""

from handshake_inspect.capture.live.capture import LiveCapture

__all__ = ["LiveCapture"]
