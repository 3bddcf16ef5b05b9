# SPDX-License-Identifier: Apache-2.0
"""What the registry says of devices (device_samples prints some in all their states) keeps to schemas/device.schema.json."""

import json
import os
import subprocess

from schema_tools import problems


def test_described_devices():
    run = subprocess.run([os.environ["DEVICE_SAMPLES"]], capture_output=True, text=True, check=True)
    devices = [json.loads(line) for line in run.stdout.splitlines()]
    assert {device["state"] for device in devices} == {"discovered", "adopted", "configured"}
    for device in devices:
        assert problems("device", device) == []
