"""`handshake-inspect sniff`: connections live, one line per segment."""

from __future__ import annotations

import click


@click.command("sniff")
@click.option("-i", "--interface", default="lo", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), help="Only segments of this port.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N segments.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="End after S seconds.")
@click.option("-w", "--write", "target", metavar="FILE", help="Save what was seen as a pcap file.")
def command(interface: str, port: int | None, count: int | None, duration: float | None, target: str | None) -> int:
    """Watch TCP connections live: one line per segment, with the states of both ends after it.

    Ends at Ctrl-C, or as --count and --duration say, with a table of the connections seen. Needs the right to
    capture (root, or CAP_NET_RAW).

    \b
    Examples:
      handshake-inspect sniff
      handshake-inspect sniff -i eth0 --port 443 --duration 10
      handshake-inspect sniff --port 8000 --count 12 -w echo.pcap
    """
    from contextlib import ExitStack

    from handshake_inspect.capture.live import LiveCapture
    from handshake_inspect.capture.writing.pcap import PcapWriter
    from handshake_inspect.cli.captures import Interruption, report
    from handshake_inspect.cli.choose import choice
    from handshake_inspect.cli.listing import write_listing
    from handshake_inspect.cli.options import Asked
    from handshake_inspect.cli.output import remark
    from handshake_inspect.cli.watch import Watch
    from handshake_inspect.views.words import counted

    with LiveCapture(interface) as capture, Interruption() as interruption, ExitStack() as stack:
        writer = stack.enter_context(PcapWriter(target, capture.link_type)) if target is not None else None
        remark(f"listening on {interface}; Ctrl-C ends")
        watch = Watch(capture, port=port, count=count, writer=writer)
        watch.run(interruption, duration)
    inspection = watch.finish()
    if watch.shown:
        print()
        write_listing(inspection, choice(Asked(port=port)), "table")
    report(inspection, udp_listed=True)
    shown = f"{counted(watch.shown, 'segment')} seen" if watch.shown else "nothing seen"
    if watch.passed_over:
        shown += f", {watch.passed_over:,} of them too fast to be shown one by one"
    where = f" at port {port}" if port is not None and not watch.shown else ""
    remark(f"{interface}: {shown}{where}, {counted(capture.dropped, 'frame')} dropped")
    if writer is not None:
        remark(f"{target}: {counted(writer.count, 'frame')} saved")
    return 0
