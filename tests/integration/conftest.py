# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes longer; runs with ./dev test --full")
    config.addinivalue_line("markers", "benchmark: measures, is not run under sanitizers")


@pytest.fixture
def simulate(tmp_path):
    """simulate("--udp", "127.0.0.1:0", ...) -> harness.Simulator"""
    running = []

    def begin(*arguments):
        simulator = harness.Simulator(tmp_path / f"sim{len(running)}", *arguments)
        running.append(simulator)
        return simulator

    yield begin
    for simulator in running:
        simulator.stop()


@pytest.fixture
def gateway(tmp_path):
    """gateway(devices="[device ...]", settings="...") -> a started harness.Gateway"""
    running = []

    def begin(devices="", settings="", start=True, **options):
        one = harness.Gateway(tmp_path / f"gw{len(running)}", devices, settings, **options)
        running.append(one)
        return one.start() if start else one

    yield begin
    for one in running:
        one.stop()


@pytest.fixture
def image(tmp_path):
    """image("1.1.0", "--size", "40K") -> (path, image hash)"""
    made = []

    def make(version="1.1.0", *arguments):
        made.append(version)
        return harness.make_image(tmp_path / f"app-{version}-{len(made)}.bin", version, *(arguments or ("--size", "24K")))

    return make
