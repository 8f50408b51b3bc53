"""The table of other tools' names: complete, and true to the catalogue."""

from __future__ import annotations

import pytest

from handshake_inspect.explain.counterparts import tool_pages
from handshake_inspect.explain.rendering import page_lines
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.findings.other_tools import MARKS, TOOLS, Counterpart, counterparts

TABLE = counterparts()

#: All that concern how TCP opens, closes and misbehaves.
SURICATA = """
3whs_ack_in_wrong_dir 3whs_async_wrong_seq 3whs_right_seq_wrong_ack_evasion 3whs_synack_in_wrong_direction
3whs_synack_resend_with_different_ack 3whs_synack_resend_with_diff_seq 3whs_synack_toserver_on_syn_recv
3whs_synack_with_wrong_ack 3whs_synack_flood 3whs_synack_tfo_data_ignored 3whs_syn_resend_diff_seq_on_syn_recv
3whs_syn_toclient_on_syn_recv 3whs_wrong_seq_wrong_ack 3whs_ack_data_inject 4whs_synack_with_wrong_ack
4whs_synack_with_wrong_syn 4whs_wrong_seq 4whs_invalid_ack est_packet_out_of_window est_synack_resend
est_synack_resend_with_different_ack est_synack_resend_with_diff_seq est_synack_toserver est_syn_resend
est_syn_resend_diff_seq est_syn_toclient est_invalid_ack closewait_ack_out_of_window closewait_fin_out_of_window
closewait_invalid_ack closing_ack_wrong_seq closing_invalid_ack fin_invalid_ack fin1_ack_wrong_seq fin1_fin_wrong_seq
fin1_invalid_ack fin2_ack_wrong_seq fin2_fin_wrong_seq fin2_invalid_ack fin_out_of_window fin_but_no_session
lastack_ack_wrong_seq lastack_invalid_ack timewait_ack_wrong_seq timewait_invalid_ack shutdown_syn_resend fin_syn
rst_invalid_ack rst_but_no_session suspected_rst_inject pkt_invalid_timestamp pkt_invalid_ack pkt_broken_ack
pkt_bad_window_update excessive_retransmissions
"""
ZEEK = """
SYN_seq_jump active_connection_reuse premature_connection_reuse SYN_inside_connection SYN_after_close SYN_after_reset
SYN_after_partial SYN_with_data bad_SYN_ack baroque_SYN TCP_christmas simultaneous_open unsolicited_SYN_response
connection_originator_SYN_ack repeated_SYN_with_ack repeated_SYN_reply_wo_ack possible_split_routing
data_before_established data_after_reset pending_data_when_closed FIN_advanced_last_seq FIN_after_reset
inappropriate_FIN spontaneous_FIN spontaneous_RST FIN_storm RST_storm RST_with_data window_recision TCP_scale_range
TCP_seq_underflow_or_misorder TCP_ack_underflow_or_misorder above_hole_data_without_any_acks bad_TCP_checksum
bad_TCP_header_len truncated_header truncated_tcp_payload
"""


@pytest.mark.parametrize(("tool", "names"), [("suricata", SURICATA), ("zeek", ZEEK)])
def test_no_name_is_left_out(tool: str, names: str) -> None:
    assert set(names.split()) <= {one.name for one in TABLE if one.tool == tool}


@pytest.mark.parametrize("one", TABLE, ids=lambda one: f"{one.tool}-{one.name}")
def test_a_name_leads_to_findings_that_there_are_or_says_why_not(one: Counterpart) -> None:
    assert one.tool in TOOLS and one.mark in MARKS
    assert set(one.codes) <= BY_CODE.keys()
    assert one.codes if one.mark in ("same", "stricter") else one.note
    assert not one.note or one.note.endswith(".")


def test_each_name_stands_once() -> None:
    assert len({(one.tool, one.name) for one in TABLE}) == len(TABLE)


def test_the_page_of_a_tool_has_all_its_names() -> None:
    pages = {page.name: page for page in tool_pages()}
    for tool in TOOLS:
        text = " ".join(line.plain for line in page_lines(pages[tool], 100))
        assert all(one.name in text for one in TABLE if one.tool == tool)
