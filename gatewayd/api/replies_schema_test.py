# SPDX-License-Identifier: Apache-2.0
"""Every reply and notification that the tests of this folder were given keeps to schemas/reply.schema.json. GW_API_TESTS names the test
programs, separated by ':'; they write what they hear into a file."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/schemas"))

from schema_tools import SCHEMAS, problems  # noqa: E402

DEFINITIONS = SCHEMAS["reply"]["$defs"]


def heard(folder):
    path = folder / "replies"
    for program in os.environ["GW_API_TESTS"].split(":"):
        run = subprocess.run([program], env=dict(os.environ, GW_API_REPLIES=str(path)), capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-3000:]
    for line in path.read_text().splitlines():
        method, _, text = line.partition("\t")
        yield method, json.loads(text)


def test_replies(tmp_path):
    answered = set()
    wrong = set()
    for method, message in heard(tmp_path):
        wrong.update(f"{method}: {problem}" for problem in problems("reply", message))
        if "result" in message and method:
            answered.add(method)
            wrong.update(f"{method}: {problem}" for problem in problems("reply", message["result"], method))
        elif "method" in message:
            answered.add(message["method"])
            wrong.update(f"{message['method']}: {problem}" for problem in problems("reply", message["params"], message["method"]))
    assert not wrong, "\n".join(sorted(wrong)[:40])
    methods = {name for name in DEFINITIONS if "." in name} | {"event", "progress"}
    assert methods - answered == set(), "no test saw an answer to these"
