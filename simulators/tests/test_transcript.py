# SPDX-License-Identifier: Apache-2.0
"""A recorded conversation with a real server is answered byte for byte."""
import os


def read_transcript(path):
    """[(request, [answers])]"""
    exchanges = []
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("> "):
                exchanges.append((bytes.fromhex(line[2:]), []))
            elif line.startswith("< "):
                exchanges[-1][1].append(bytes.fromhex(line[2:]))
    return exchanges


def test_transcript(talk, data):
    conversation = talk("zephyr-3.4", image=os.path.join(data, "mcuboot", "app-1.0.0-sha256.bin"))
    exchanges = read_transcript(os.path.join(data, "smp", "zephyr-udp-transcript.txt"))
    assert len(exchanges) == 33
    for number, (request, answers) in enumerate(exchanges):
        assert conversation.raw(request) == answers, f"exchange {number}"
        conversation.wait(5)
