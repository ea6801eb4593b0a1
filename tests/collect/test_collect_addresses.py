"""Addresses as sockets and proxies write them, in one form."""

from __future__ import annotations

import pytest

from attribune.collect.address import peer_address, plain_address


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[::ffff:192.0.2.1]:4711", "192.0.2.1"),
        ("[fe80::1%eth0]:4711", "fe80::1"),
        ("", None),
        ("[junk]:1", None),
    ],
)
def test_the_other_end_of_a_connection(client, address):
    assert peer_address(client) == address


@pytest.mark.parametrize(
    ("said", "address"),
    [
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ('"[2001:DB8::1]:80"', "2001:db8::1"),
        ("2001:db8:0:0::1", "2001:db8::1"),
        ("unknown", None),
        ("192.0.2.256", None),
        ("0x7f000001", None),
    ],
)
def test_addresses_as_proxies_write_them(said, address):
    assert plain_address(said) == address
