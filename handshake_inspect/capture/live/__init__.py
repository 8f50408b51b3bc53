"""Records of network interfaces, as frames arrive. Needs Linux, but only when a capture is opened.

The modules, in the order in which data flows; each imports only from those before it:

- `interfaces`: names, numbers and types of interfaces, and the messages about their failures.
- `filtering`: the kernel's filter: a classic BPF program of ours, followed by libpcap's.
- `timestamps`: makes the kernel stamp frames as they arrive.
- `ring`: the memory in which the kernel stores frames, and how they are found in it.
- `opening`: Scapy's packet socket, with ring and filter.
- `capture`: frames as blocks of records: `LiveCapture`.
- `privileges`: gives up privileges once a capture is open.
"""

from handshake_inspect.capture.live.capture import LiveCapture

__all__ = ["LiveCapture"]
