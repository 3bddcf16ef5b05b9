# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)

from gwsim.options import Options  # noqa: E402 (the path must be set first)
from gwsim.smp_device import SmpDevice  # noqa: E402
from smp_talk import Talk  # noqa: E402

DATA = os.path.join(HERE, "..", "..", "tests", "data")


@pytest.fixture
def data():
    return os.path.realpath(DATA)


@pytest.fixture
def talk():
    """talk("profile", option=value) -> a conversation with a new device; time stands still unless told."""
    def make(profile="default", **options):
        return Talk(SmpDevice, Options(profile, **options))
    return make
