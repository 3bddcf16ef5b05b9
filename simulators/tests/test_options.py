# SPDX-License-Identifier: Apache-2.0
"""The option table, the command line and scenario files."""
import glob
import json
import os

import pytest
from gwsim import main
from gwsim.options import ALL, PROFILES, OptionError, Options, parse_assignments

HERE = os.path.dirname(os.path.realpath(__file__))


def settings(count, *arguments):
    return main.settings_of(main.build_parser().parse_args(arguments), count)


def test_values():
    found = parse_assignments("loss=0.1,refuse-swap,slot-size=400K,boot-ms=1.5,smp=v2-only,definite=no,rate=0x10")
    assert found == {"loss": 0.1, "refuse-swap": True, "slot-size": 409600, "boot-ms": 1.5, "smp": "v2-only",
                     "definite": False, "rate": 16}


@pytest.mark.parametrize("text", ["nonsense", "nonsense=1", "loss", "loss=2", "loss=x", "boot-ms=-1", "smp=v3", "mode=10",
                                  "images=3", "definite=perhaps", "slot-size=-1", "time-scale=0"])
def test_impossible_values(text):
    with pytest.raises(OptionError):
        parse_assignments(text)


def test_update_is_all_or_nothing():
    options = Options()
    with pytest.raises(OptionError):
        options.update({"loss": 0.5, "mode": 77})
    assert options.loss == 0
    options.update({"loss": 0.5, "refuse-swap": True})
    assert options.as_dict()["loss"] == 0.5 and options.refuse_swap is True


def test_defaults_and_profiles_are_valid():
    for profile in PROFILES:
        options = Options(profile)
        for name, value in options.as_dict().items():
            assert ALL[name][0](value) == value, name
    with pytest.raises(OptionError):
        Options("nothing")


def test_precedence(tmp_path):
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps({"all": {"loss": 0.2, "boot-ms": 7},
                                    "devices": {"1": {"loss": 0.3}, "2-3": {"profile": "old"}}}))
    found = settings(4, "--loss", "0.1", "--swap-ms", "5", "--scenario", str(scenario), "--device", "1:boot-ms=9",
                     "--device", "3:mode=5,profile=nrf52840")
    assert found[0] == ("default", {"loss": 0.2, "swap-ms": 5.0, "boot-ms": 7})
    assert found[1] == ("default", {"loss": 0.3, "swap-ms": 5.0, "boot-ms": 9.0})
    assert found[2][0] == "old" and found[3][0] == "nrf52840" and found[3][1]["mode"] == 5


@pytest.mark.parametrize("arguments", [["--device", "2:loss=1"], ["--device", "x:loss=1"], ["--device", "loss=1"],
                                       ["--device", "1-0:loss=1"], ["--loss", "7"]])
def test_impossible_arguments(arguments):
    with pytest.raises(OptionError):
        settings(2, *arguments)


def test_scenario_with_an_unknown_member(tmp_path):
    scenario = tmp_path / "scenario.json"
    scenario.write_text('{"device": {}}')
    with pytest.raises(OptionError):
        settings(1, "--scenario", str(scenario))


def test_flags_on_the_command_line():
    assert settings(1, "--refuse-swap", "--definite", "no")[0][1] == {"refuse-swap": True, "definite": False}


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    text = capsys.readouterr().out
    for name in ALL:
        assert "--" + name in text


@pytest.mark.parametrize("arguments, problem", [
    ([], "without one there is no device"), (["--udp", "x"], "not HOST:PORT"),
    (["--pty", "/tmp/same", "--count", "2"], "%d"), (["--udp", "127.0.0.1:0", "--image", "/nonexistent"], "nonexistent"),
    (["--udp", "127.0.0.1:0", "--version", "one"], "one")])
def test_mistakes_are_explained(arguments, problem, capsys):
    assert main.main(arguments) == 2
    assert problem in capsys.readouterr().err


def test_every_option_has_a_test():
    """By name; test_ports.py covers what only a real port shows, tests/vm what only the real BlueZ does."""
    text = ""
    for path in glob.glob(os.path.join(HERE, "test_*.py")) + glob.glob(os.path.join(HERE, "../../tests/vm/scenarios/*.py")):
        with open(path, encoding="utf-8") as stream:
            text += stream.read().replace("-", "_")
    missing = [name for name in ALL if name.replace("-", "_") not in text]
    assert missing == []
