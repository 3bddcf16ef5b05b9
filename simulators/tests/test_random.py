# SPDX-License-Identifier: Apache-2.0
"""Devices of every kind and every mixture of faults, treated at random: none may fall over, and every event has its reason."""
import random

import pytest
from gwsim.image import Image, make_image
from gwsim.options import PROFILES
from smp_talk import READ, WRITE, chunks

IMAGES = [make_image(version, size) for version in ("0.9.0", "1.0.0", "1.1.0") for size in (100, 3000)]
HASHES = [Image(image).hash for image in IMAGES]
FLAGS = ("direct_upload", "confirm_any", "no_return", "revert_image", "reject_image", "refuse_swap", "trailer_garbage",
         "lose_upload", "self_confirm", "reset_no_answer", "no_downgrade", "frugal", "legacy_rc", "reason", "ignore_test")
KEYS = ("off", "data", "len", "sha", "image", "upgrade", "hash", "confirm", "slot", "d", "format", "query", "datetime", "index",
        "groups", "force", "boot_mode")
VALUES = (0, 1, 2, 5, -1, 2 ** 40, True, None, "x", b"", b"y" * 32, bytes(40), [], {}, 1.5, *HASHES, IMAGES[1][:200])


def upload(conversation, chance):
    for payload in chunks(chance.choice(IMAGES), 200, image=chance.choice((0, 0, 0, 1, 2))):
        conversation.raw(conversation.message(1, 1, payload, WRITE))
        conversation.wait(chance.choice((0, 0.01)))
        if chance.random() < 0.05:
            return


def state_write(conversation, chance):
    held = [slot.image.hash for bank in conversation.device.banks for slot in bank.slots if slot.image]
    payload = chance.choice(({"hash": chance.choice(HASHES + held), "confirm": chance.random() < 0.5}, {"confirm": True}))
    conversation.raw(conversation.message(1, 0, payload, WRITE))


def power(conversation, chance):
    device = conversation.device
    chance.choice((lambda: device.power_cycle(conversation.now), lambda: device.power_off(conversation.now),
                   lambda: device.power_on(conversation.now), lambda: device.vanish(conversation.now, 100)))()
    conversation.wait(1)


def keep(conversation, chance):
    saved, blobs = conversation.device.snapshot()
    conversation.device.restore(saved, lambda digest: blobs[digest])
    conversation.device.describe()


def nonsense(conversation, chance):
    payload = {chance.choice(KEYS): chance.choice(VALUES) for _ in range(chance.randrange(5))}
    conversation.raw(conversation.message(chance.choice((0, 1, 10, 128)), chance.randrange(9), payload,
                                          chance.choice((READ, WRITE))))


def reset(conversation, chance):
    conversation.raw(conversation.message(0, 5, {"boot_mode": chance.randrange(2)}, WRITE))
    conversation.wait(chance.choice((0.1, 5)))


@pytest.mark.parametrize("seed", range(30))
def test_random_life(talk, seed):
    chance = random.Random(seed)
    conversation = talk(chance.choice(sorted(PROFILES)), mode=seed % 11 - 1, images=chance.choice((1, 2)),
                        crash_ms=chance.choice((0, 0, 10, 1000)), vanish_at=chance.choice((0, 500)),
                        process_ms=chance.choice((0, 5)), align=chance.choice((1, 8)),
                        recovery=chance.choice(("off", "off", "once", "always")),
                        **{flag: chance.random() < 0.2 for flag in FLAGS})
    for _ in range(100):
        chance.choice((upload, upload, state_write, state_write, reset, power, keep, nonsense))(conversation, chance)
        conversation.wait(chance.choice((0, 0.001, 0.3)))
    names = conversation.names()
    stats = conversation.device.stats
    assert names.count("upload-start") == stats["uploads_started"] >= stats["uploads_completed"]
    assert names.count("upload-complete") == stats["uploads_completed"]
    assert names.count("swap") == stats["swaps"] and names.count("revert") == stats["reverts"]
    assert names.count("boot") + names.count("no-return") >= 1
