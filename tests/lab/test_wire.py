"""Two hosts and a wire: what its rules do to segments of real sockets, seen at both ends."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from functools import partial

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from handshake_inspect.lab.altering import Change, changed, options_of
from handshake_inspect.lab.bench import Bench, failing
from handshake_inspect.lab.scenarios.scenario import Scenario
from handshake_inspect.lab.segments import Segment, segment_of
from handshake_inspect.lab.session import Session, run_demo
from handshake_inspect.lab.wire import CLIENT, SERVER, two_hosts
from handshake_inspect.lab.world import LabError, WorldError, in_private_world, network_ioctl
from tests.lab.privileges import as_ordinary_user, children, needs_private_world, needs_root

ADDRESSED = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="198.18.0.1", dst="198.18.0.2")


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def run(script: Callable[[Bench], None]) -> Session:
    return run_demo(Scenario("test", "A test.", script, network="wire", outcomes=None))


def seen(session: Session, at: str) -> list[Segment]:
    (vantage,) = [one for one in session.vantages if one.name == at]
    return [segment for frame in vantage.frames if (segment := segment_of(frame.octets)) is not None]


def kinds(session: Session, at: str, sender: str) -> list[str]:
    return [segment.kind for segment in seen(session, at) if segment.source[0] == sender]


def ordinary(bench: Bench, *, until_acknowledged: bool = False) -> None:
    _, client, server = bench.session()
    (_, port) = client.address
    client.send(b"one")
    bench.pause()
    client.send(b"two")
    bench.pause()
    client.close()
    said = server.recv()
    assert said == b"onetwo" or said + server.recv() == b"onetwo"  # a busy machine delivers them one by one
    if until_acknowledged:
        bench.until(lambda: bench.client.holds("FIN-WAIT-2", port) > 0, "its FIN was acknowledged")
    bench.pause()


def with_rule(text: str) -> Session:
    def script(bench: Bench) -> None:
        bench.wire.rule(text)
        ordinary(bench)

    return run(script)


def test_without_a_rule_both_ends_see_the_same_segments() -> None:
    session = run(partial(ordinary, until_acknowledged=True))
    assert [one.name for one in session.vantages] == ["client", "server"]
    # Segments of both ends may cross on the wire: then each end sees its own first.
    for source in {segment.source for segment in seen(session, "client")}:
        at_client, at_server = (
            [one for one in seen(session, at) if one.source == source] for at in ("client", "server")
        )
        assert at_client == at_server
    assert kinds(session, "client", CLIENT)[:5] == ["SYN", "ACK", "data", "data", "FIN"]
    assert session.dropped == 0


def test_a_dropped_segment_is_seen_at_its_sender_only() -> None:
    session = with_rule("drop first data from client")
    at_client, at_server = kinds(session, "client", CLIENT), kinds(session, "server", CLIENT)
    assert at_client.count("data") == at_server.count("data") + 1


def test_a_doubled_segment_is_seen_twice_at_its_receiver() -> None:
    session = with_rule("duplicate first SYN from client after 10 ms")
    assert kinds(session, "client", CLIENT).count("SYN") == 1
    first, second = [segment for segment in seen(session, "server") if segment.kind == "SYN"]
    assert first == second


def test_a_delayed_segment_arrives_later() -> None:
    session = with_rule("delay first SYN from client by 120 ms")
    sent, arrived = (vantage.frames[0].time_ns for vantage in session.vantages)
    assert 0.12e9 <= arrived - sent < 0.5e9


def test_a_swapped_segment_is_overtaken_by_the_next() -> None:
    session = with_rule("swap first data from client")
    assert [segment.payload for segment in seen(session, "client") if segment.payload][:2] == [b"one", b"two"]
    assert [segment.payload for segment in seen(session, "server") if segment.payload][:2] == [b"two", b"one"]


def test_a_clamped_mss_is_another_at_the_other_end_and_its_segment_has_a_right_checksum() -> None:
    session = with_rule("clamp MSS to 1000 on every SYN from client")
    sent, arrived = (dict(options_of(seen(session, at)[0].frame)) for at in ("client", "server"))
    assert sent == arrived | {"MSS": 1460}
    assert arrived["MSS"] == 1000
    assert kinds(session, "server", SERVER)[0] == "SYN-ACK"  # Linux drops what has a wrong checksum


def test_an_mss_below_the_limit_is_left_alone() -> None:
    session = with_rule("clamp MSS to 9000 on every SYN from client")
    assert dict(options_of(seen(session, "server")[0].frame))["MSS"] == 1460


def test_stripped_timestamps_leave_segments_of_the_same_length() -> None:
    session = with_rule("strip timestamps on first SYN from client")
    sent, arrived = (seen(session, at)[0] for at in ("client", "server"))
    assert "Timestamp" in dict(options_of(sent.frame))
    assert dict(options_of(arrived.frame)).keys() == dict(options_of(sent.frame)).keys() - {"Timestamp"}
    assert len(arrived.frame) == len(sent.frame)
    assert "Timestamp" not in dict(
        options_of(seen(session, "client")[1].frame)
    )  # of the SYN-ACK: the server was not asked


def test_a_ttl_is_set_on_those_segments_that_the_rule_is_about() -> None:
    session = with_rule("set TTL to 63 on second segment from client")
    assert [Ether(one.frame)[IP].ttl for one in seen(session, "server") if one.source[0] == CLIENT][:3] == [64, 63, 64]


def test_shifted_numbers_agree_at_each_end_and_differ_between_them() -> None:
    def script(bench: Bench) -> None:
        bench.wire.rule("shift seq by 4000000000 on every segment from client")
        bench.wire.rule("shift ack by -4000000000 on every segment from server")
        ordinary(bench)

    session = run(script)
    syn, behind_it = seen(session, "client")[0], seen(session, "server")[0]
    assert behind_it.seq == (syn.seq + 4_000_000_000) % 2**32
    assert behind_it.ack == syn.ack == 0  # no ACK bit, no acknowledgment
    assert [seen(session, at)[1].ack for at in ("client", "server")] == [syn.end, behind_it.end]


def test_the_edges_of_sack_blocks_are_shifted_with_the_acknowledgment() -> None:
    segment = ADDRESSED / TCP(flags="A", ack=100, options=[("SAck", (200, 300, 400, 2**32 - 1))])
    tcp = Ether(changed(bytes(segment), Change("ack", 5)))[TCP]
    assert (tcp.ack, dict(tcp.options)["SAck"]) == (105, (205, 305, 405, 4))


def test_a_held_segment_goes_when_it_is_released() -> None:
    def script(bench: Bench) -> None:
        held = bench.wire.rule("hold first SYN from client")
        listener = bench.server.listen()
        client = bench.client.socket()
        client.connect_start(listener.address)
        (syn,) = held.wait()
        assert (syn.kind, syn.destination) == ("SYN", listener.address)
        bench.pause(0.2)
        held.release()
        client.connect_finish()

    session = run(script)
    assert session.vantages[1].frames[0].time_ns - session.vantages[0].frames[0].time_ns >= 0.2e9
    assert kinds(session, "server", SERVER) == ["SYN-ACK"]


def test_what_a_lifted_rule_holds_is_lost() -> None:
    def script(bench: Bench) -> None:
        _, client, server = bench.session()
        held = bench.wire.rule("hold first data from client")
        client.send(b"lost")
        held.wait()
        held.lift()
        assert server.recv() == b"lost"  # a retransmission

    session = run(script)
    assert kinds(session, "client", CLIENT).count("data") >= 2
    assert kinds(session, "server", CLIENT).count("data") == kinds(session, "client", CLIENT).count("data") - 1


def test_a_cut_wire_carries_nothing_any_more() -> None:
    def script(bench: Bench) -> None:
        _, client, server = bench.session()
        bench.wire.cut()
        client.send(b"nobody hears")
        server.timeout_s = 0.3
        server.real.settimeout(0.3)
        with failing("timed out after 0.3 s"):
            server.recv()

    session = run(script)
    assert kinds(session, "client", CLIENT).count("data") >= 1
    assert "data" not in kinds(session, "server", CLIENT)


def test_a_segment_that_no_host_sent_arrives() -> None:
    def script(bench: Bench) -> None:
        from scapy.layers.inet import IP, TCP
        from scapy.layers.l2 import Ether

        listener = bench.server.listen()
        held = bench.wire.rule("hold every RST from server")
        with bench.server.inside():
            hardware = hardware_address("server0")
        packet = (
            Ether(src=hardware, dst=hardware)
            / IP(src=CLIENT, dst=SERVER)
            / TCP(sport=999, dport=listener.address[1], flags="A")
        )
        bench.wire.send(bytes(packet), "server")
        assert held.wait()[0].destination == (CLIENT, 999)

    session = run(script)
    assert [segment.flag_names for segment in seen(session, "server")] == ["ACK", "RST"]
    assert seen(session, "client") == []


def hardware_address(interface: str) -> str:
    """By SIOCGIFHWADDR of netdevice(7)."""
    return network_ioctl(0x8927, struct.pack("16s24x", interface.encode()))[18:24].hex(":")


def test_the_segments_have_real_checksums() -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    session = run(ordinary)
    assert len(session.frames) >= 8
    for frame in session.frames:
        parsed = Ether(frame.octets)
        again = Ether(frame.octets)
        del again[TCP].chksum
        del again[IP].chksum
        assert bytes(again) == bytes(parsed)


def test_an_ordinary_user_has_a_wire_too() -> None:
    before = children()
    at_client, at_server = as_ordinary_user(syn_acks_of_a_lossy_wire)
    assert at_client == at_server - 1 >= 1
    assert children() == before


def syn_acks_of_a_lossy_wire() -> tuple[int, int]:
    session = with_rule("drop first SYN-ACK from server")
    return kinds(session, "client", SERVER).count("SYN-ACK"), kinds(session, "server", SERVER).count("SYN-ACK")


def wait_in_vain(limit_s: float) -> str:
    import handshake_inspect.lab.relay as module

    module.CATCH_LIMIT_S = limit_s
    with two_hosts() as (_, wire), pytest.raises(LabError) as said:
        wire.rule("hold first FIN from client").wait()
    return str(said.value)


def test_waiting_in_vain_ends_in_one_line() -> None:
    began = time.monotonic()
    said = in_private_world(wait_in_vain, 0.2)
    assert said == "the wire waited in vain for what its rule is about: hold first FIN from client"
    assert time.monotonic() - began < 5


def test_a_script_that_fails_is_named_and_everything_ends() -> None:
    def script(bench: Bench) -> None:
        with failing("ECONNREFUSED"):
            bench.session()

    before = children()
    with pytest.raises(LabError, match="a call succeeded where ECONNREFUSED was expected"):
        run(script)
    assert children() == before


def test_a_script_whose_call_fails_says_which() -> None:
    def script(bench: Bench) -> None:
        bench.client.connect((SERVER, 9))

    with pytest.raises(LabError, match=rf"connect\({SERVER}:9\) = ECONNREFUSED"):
        run(script)


def test_a_setting_of_this_host_is_never_changed() -> None:
    needs_root("capturing on this host's loopback needs root")

    def script(bench: Bench) -> None:
        bench.server.set("tcp_syncookies", 0)

    with pytest.raises(LabError, match="private network only"):
        run_demo(Scenario("test", "A test.", script), place="host")


def test_a_wire_is_private() -> None:
    with pytest.raises(WorldError, match=r"^four-way: the wire between two hosts must be a private one$"):
        run_demo("four-way", rules=("drop first SYN from client",), place="host")
    with pytest.raises(LabError, match=r"^ipv6: the wire between two hosts has IPv4 only$"):
        run_demo("ipv6", rules=("drop first SYN from client",))


def test_two_programs_can_have_a_wire_between_them() -> None:
    session = run_demo("four-way", rules=("drop first SYN from client",))
    assert kinds(session, "client", CLIENT)[:2] == ["SYN", "SYN"]
    assert session.server[0] == SERVER


def test_a_rule_that_lets_segments_pass_tells_when_they_have_whatever_others_do_to_them() -> None:
    def script(bench: Bench) -> None:
        bench.wire.rule("drop first data from client")
        watched = bench.wire.rule("pass first 3 data from client")
        _, client, server = bench.session()
        bench.echo(client, server)  # a retransmission
        client.send(b"more")
        assert [segment.payload for segment in watched.wait(3)] == [b"bith", b"bith", b"more"]
        server.recv()

    data = [segment.payload for segment in seen(run(script), "server") if segment.kind == "data"]
    assert data == [b"bith", b"BITH", b"more"]


def test_a_kept_copy_goes_when_it_is_released_and_the_segment_at_once() -> None:
    def script(bench: Bench) -> None:
        copied = bench.wire.rule("keep first data from client")
        _, client, server = bench.session()
        bench.echo(client, server)
        answered = bench.wire.rule("pass first ACK from server")
        copied.release()
        answered.wait()

    session = run(script)
    assert kinds(session, "client", CLIENT).count("data") == 1
    data = [segment for segment in seen(session, "server") if segment.payload]
    assert [segment.payload for segment in data] == [b"bith", b"BITH", b"bith"]
    assert data[0] == data[2]


def test_what_several_rules_hold_goes_on_before_it_can_be_answered() -> None:
    def script(bench: Bench) -> None:
        _, client, server = bench.session()
        held = [bench.wire.rule(f"hold first data from {end}") for end in ("client", "server")]
        client.send(b"question")
        server.send(b"answer to nothing")
        for rule in held:
            rule.wait()
        bench.wire.release(*held)
        assert (server.recv(), client.recv()) == (b"question", b"answer to nothing")
        bench.pause()

    session = run(script)
    for at in ("client", "server"):
        first, second = [segment for segment in seen(session, at) if segment.kind == "data"]
        assert (first.ack, second.ack) == (second.seq, first.seq)  # neither acknowledges the other


def test_a_setting_that_this_kernel_has_not_is_said_in_one_line() -> None:
    def script(bench: Bench) -> None:
        bench.client.set("tcp_fast_as_light", 1)

    with pytest.raises(LabError, match=r"this kernel has no setting net\.ipv4\.tcp_fast_as_light"):
        run(script)
