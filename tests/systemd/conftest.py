# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "integration")]


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes longer; runs with ./dev test --full")
