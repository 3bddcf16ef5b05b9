# SPDX-License-Identifier: Apache-2.0
"""What a scenario is: a function with the decorator @scenario, in a file of tests/vm/scenarios. It gets a Room and fails by raising."""

import dataclasses
import importlib.util
import pathlib

_found = []


@dataclasses.dataclass
class Scenario:
    """settings: of main.conf, (section, name) -> value. The first line of the function's text is what the list says about it."""

    name: str
    function: object
    controllers: int = 2
    settings: dict = dataclasses.field(default_factory=dict)
    btvirt: tuple = ()
    timeout_s: int = 120
    shown: bool = False
    kind: str = "test"

    @property
    def about(self):
        return (self.function.__doc__ or "").strip().partition("\n")[0]


def scenario(**options):
    def decorate(function):
        _found.append(Scenario(function.__name__, function, **options))
        return function
    return decorate


def load(files):
    """All scenarios of these files, in their order."""
    for path in map(pathlib.Path, files):
        specification = importlib.util.spec_from_file_location("scenarios_" + path.stem, path)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    return list(_found)
