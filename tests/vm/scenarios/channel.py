# SPDX-License-Identifier: Apache-2.0
"""The virtual air by itself, without gatewayd."""

import os

import central
from scenario import scenario


@scenario()
def echo(room):
    """a GATT characteristic as a channel: what is written comes back, up to the largest datagram"""
    room.spawn_device("echo_device.py", "hci1")
    gateway = central.Central()
    connection = gateway.connect(gateway.scan("echo"))
    room.log("connected, MTU", connection.mtu)
    assert connection.mtu == 498
    for size in (1, 20, 244, connection.mtu - 5):
        sent = os.urandom(size)
        connection.send(sent)
        assert connection.receive() == sent, size
    for number in range(200):
        connection.send(number.to_bytes(2, "big") * 100)
    for number in range(200):
        assert connection.receive() == number.to_bytes(2, "big") * 100, number
    connection.close()
