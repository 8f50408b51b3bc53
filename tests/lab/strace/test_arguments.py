"""Arguments as strace writes them, one by one: strings, addresses, descriptors, buffers."""

from __future__ import annotations

import pytest

from handshake_inspect.lab.strace.arguments import Descriptor, buffers, descriptor, octets, socket_address, split


def test_commas_in_strings_brackets_and_addresses_do_not_part_arguments() -> None:
    text = r'3<TCP:[127.0.0.1:4->127.0.0.1:5]>, "a,\"(b"..., {x=1, y=[2, 3]}, 1</dev/pts/0<char 136:0>>, NULL'
    assert split(text) == [
        "3<TCP:[127.0.0.1:4->127.0.0.1:5]>",
        r'"a,\"(b"...',
        "{x=1, y=[2, 3]}",
        "1</dev/pts/0<char 136:0>>",
        "NULL",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", Descriptor(3)),
        ("3, NULL", Descriptor(3)),
        ("3<socket:[42]>", Descriptor(3, 42)),
        ("3<TCP:[42]>", Descriptor(3, 42)),
        ("3<TCP:[127.0.0.1:80]>", Descriptor(3, local="127.0.0.1:80")),
        ("3<TCP:[10.0.0.1:4->10.0.0.2:5]>", Descriptor(3, local="10.0.0.1:4", peer="10.0.0.2:5")),
        ("3<TCPv6:[[::1]:4->[::1]:5]>", Descriptor(3, local="[::1]:4", peer="[::1]:5")),
        ("3<TCPv6:[[::ffff:10.0.0.1]:4->[::ffff:10.0.0.2]:5]>", Descriptor(3, local="10.0.0.1:4", peer="10.0.0.2:5")),
        ("3<UDP:[127.0.0.1:53]>", Descriptor(3, is_foreign=True)),
        ("3<UDP:[42]>", Descriptor(3, 42, is_foreign=True)),
        ("3<UNIX-STREAM:[42->43, \"/run/x\"]>", Descriptor(3, is_foreign=True)),
        ("3</tmp/a, (b)>", Descriptor(3, is_foreign=True)),
        ("3<anon_inode:[eventpoll]>", Descriptor(3, is_foreign=True)),
        ("NULL", None),
        ("-1 EBADF", None),
    ],
)  # fmt: skip
def test_a_descriptor_and_what_is_told_of_it(text: str, expected: Descriptor | None) -> None:
    assert descriptor(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"BITH"', b"BITH"),
        (r'"a\0\1b\"\\\n\177"...', b'a\x00\x01b"\\\n\x7f'),
        (r'"\8"', b"8"),
        (r'"\x00\x41\xff"', b"\x00A\xff"),
        ('""', b""),
        (r'"\0019"', b"\x019"),
    ],
)
def test_a_string_is_octets(text: str, expected: bytes) -> None:
    assert octets(text) == expected


@pytest.mark.parametrize(
    ("struct", "expected"),
    [
        ('{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}', "10.0.0.1:80"),
        (r'{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("\x31\x2e\x31\x2e\x31\x2e\x31")}', "1.1.1.1:80"),
        (
            '{sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", '
            "&sin6_addr), sin6_scope_id=0}",
            "[2001:db8::1]:443",
        ),
        (
            '{sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::ffff:10.0.0.1", '
            "&sin6_addr), sin6_scope_id=0}",
            "10.0.0.1:443",
        ),
        ('{sa_family=AF_UNIX, sun_path="/run/x"}', ""),
        ("NULL", ""),
    ],
)
def test_a_socket_address_is_spelled_as_everywhere(struct: str, expected: str) -> None:
    assert socket_address(struct) == expected


def test_buffers_are_put_together() -> None:
    iov = r'msg_iov=[{iov_base="ab", iov_len=2}, {iov_base="cd\n", iov_len=3}], msg_iovlen=2'
    assert buffers(iov) == (b"abcd\n", 5)
