# SPDX-License-Identifier: Apache-2.0
"""One corpus, two judges: the schemas and the code of the daemon (document_check) must give the same verdict.

corpus/<kind>/good    both accept
corpus/<kind>/bad     both refuse
corpus/<kind>/beyond  the schema accepts and the daemon refuses: rules that no schema can say, listed in schemas/README.md

Kinds that the daemon only writes (device) are judged by the schema alone here.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from schema_tools import SCHEMAS, Validator, problems

CORPUS = pathlib.Path(__file__).parent / "corpus"
PROGRAM_KINDS = ["campaign", "campaign-signed", "campaign-list", "command", "command-signed", "reply"]
DOCUMENTS = [(path.parent.parent.name, path.parent.name, path) for path in sorted(CORPUS.glob("*/*/*.json"))]


@pytest.fixture(scope="session")
def program():
    """What document_check says to every document, by path."""
    verdicts = {}
    for kind in PROGRAM_KINDS:
        paths = [str(path) for found, _, path in DOCUMENTS if found == kind]
        run = subprocess.run([os.environ["DOCUMENT_CHECK"], kind, *paths], capture_output=True, text=True, check=True)
        verdicts.update(zip(paths, run.stdout.splitlines(), strict=True))
    return verdicts


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_a_schema(name):
    Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"].endswith(f"/{name}.schema.json")


def test_corpus_is_there():
    for kind in PROGRAM_KINDS + ["device"]:
        for verdict in ("good", "bad"):
            assert any(found == (kind, verdict) for found in (row[:2] for row in DOCUMENTS)), f"{kind}/{verdict} is empty"


@pytest.mark.parametrize("kind,verdict,path", DOCUMENTS, ids=lambda value: value.stem if isinstance(value, pathlib.Path) else value)
def test_schema_verdict(kind, verdict, path):
    found = problems(kind, json.loads(path.read_text()))
    assert bool(found) == (verdict == "bad"), found


@pytest.mark.parametrize("kind,verdict,path", [row for row in DOCUMENTS if row[0] in PROGRAM_KINDS],
                         ids=lambda value: value.stem if isinstance(value, pathlib.Path) else value)
def test_program_verdict(kind, verdict, path, program):
    said = program[str(path)]
    assert said.startswith("good" if verdict == "good" else "bad: "), said


def test_every_method_has_params_and_a_result():
    methods = SCHEMAS["command"]["properties"]["method"]["enum"]
    for method in methods:
        assert method in SCHEMAS["command"]["$defs"], method
        assert method in SCHEMAS["reply"]["$defs"], method
    named = {path.stem: json.loads(path.read_text()) for kind, verdict, path in DOCUMENTS if (kind, verdict) == ("command", "good")}
    assert {document["method"] for document in named.values()} == set(methods)


def test_signed_commands_are_those_that_may_be_signed():
    named = set(SCHEMAS["command-signed"]["properties"]["method"]["enum"])
    for rule in SCHEMAS["command"]["allOf"]:
        params = rule["then"]["properties"]["params"]
        assert (rule["if"]["properties"]["method"]["const"] in named) == ("anyOf" in params), rule
    for rule in SCHEMAS["command-signed"]["allOf"]:
        assert rule["if"]["properties"]["method"]["const"] in named
    assert len(SCHEMAS["command-signed"]["allOf"]) == len(named)


LIMITS = [
    ("CAMPAIGN_ARTIFACTS_MAX", "campaign", "properties.artifacts.maxItems"),
    ("CAMPAIGN_COMPATIBLE_MAX", "campaign", "$defs.artifact.properties.compatible.maxItems"),
    ("CAMPAIGN_IDS_MAX", "campaign", "$defs.devices.properties.ids.maxItems"),
    ("CAMPAIGN_LABELS_MAX", "campaign", "$defs.devices.properties.labels.maxItems"),
    ("CAMPAIGN_DRIVERS_MAX", "campaign", "$defs.devices.properties.driver.maxItems"),
    ("CAMPAIGN_AUDIENCE_MAX", "campaign", "properties.aud.maxItems"),
    ("CAMPAIGN_COMMENT_MAX", "common", "$defs.comment.maxLength"),
    ("CAMPAIGN_NAME_MAX", "common", "$defs.glob.maxLength"),
    ("CAMPAIGN_URL_MAX", "common", "$defs.url.maxLength"),
    ("CAMPAIGN_VERSION_RULE_MAX", "common", "$defs.versionRule.maxLength"),
    ("CAMPAIGN_REVISION_MAX", "campaign", "properties.revision.maximum"),
    ("CAMPAIGN_ARTIFACT_SIZE_MAX", "campaign", "$defs.artifact.properties.size.maximum"),
    ("CAMPAIGN_IMAGE_MAX", "campaign", "$defs.artifact.properties.image.maximum"),
    ("CAMPAIGN_TIME_MAX_S", "campaign", "$defs.numericDate.maximum"),
    ("CAMPAIGN_WAVES_MAX", "campaign", "$defs.policy.properties.waves.maxItems"),
    ("CAMPAIGN_COUNT_MAX", "campaign", "$defs.wave.properties.count.maximum"),
    ("CAMPAIGN_COUNT_MAX", "campaign", "$defs.abort.properties.failed_count.maximum"),
    ("CAMPAIGN_SOAK_MAX_S", "campaign", "$defs.policy.properties.soak_s.maximum"),
    ("CAMPAIGN_START_JITTER_MAX_S", "campaign", "$defs.policy.properties.start_jitter_s.maximum"),
    ("CAMPAIGN_RSSI_MIN_DBM", "campaign", "$defs.devices.properties.rssi_min_dbm.minimum"),
    ("CAMPAIGN_RSSI_MAX_DBM", "campaign", "$defs.devices.properties.rssi_min_dbm.maximum"),
    ("TIME_WINDOWS_MAX", "campaign", "$defs.policy.properties.maintenance_windows.maxItems"),
    ("TIME_WINDOW_DURATION_MAX_MIN", "campaign", "$defs.window.properties.duration_min.maximum"),
    ("TIME_ZONE_NAME_MAX", "common", "$defs.timeZone.maxLength"),
    ("CAMPAIGN_TRIAL_MAX_S", "campaign", "$defs.policy.properties.trial.properties.duration_s.maximum"),
    ("CAMPAIGN_TRIAL_CHECKS_MAX", "campaign", "$defs.policy.properties.trial.properties.checks.maximum"),
    ("CAMPAIGN_CONCURRENCY_MAX", "campaign", "$defs.policy.properties.concurrency.maximum"),
    ("CAMPAIGN_ATTEMPTS_MAX", "campaign", "$defs.policy.properties.attempts.maximum"),
    ("CAMPAIGN_LIST_MAX", "campaign-list", "maxItems"),
    ("JWS_SIZE_MAX", "common", "$defs.jws.maxLength"),
    ("CAMPAIGN_AUDIENCE_MAX", "command-signed", "properties.aud.maxItems"),
    ("CAMPAIGN_TIME_MAX_S", "command-signed", "properties.exp.maximum"),
    ("COMMAND_ID_MAX", "command", "properties.id.maxLength"),
    ("COMMAND_FILE_NAME_MAX", "common", "$defs.fileName.maxLength"),
    ("COMMAND_CSV_MAX", "command", "$defs.device.import.properties.csv.maxLength"),
    ("COMMAND_DEVICES_MAX", "command", "$defs.campaign.retry.properties.devices.maxItems"),
    ("COMMAND_PAGE_MAX", "command", "$defs.device.list.properties.limit.maximum"),
    ("JSON_INTEGER_MAX", "command", "$defs.audit.query.properties.from.maximum"),
    ("DEVICE_NAME_MAX", "common", "$defs.name.maxLength"),
    ("DEVICE_ADDRESS_MAX", "common", "$defs.address.maxLength"),
]


@pytest.mark.parametrize("name,kind,path", LIMITS, ids=lambda value: value)
def test_limits_are_those_of_the_code(name, kind, path):
    header = "".join((CORPUS.parents[2] / "gatewayd" / floor / "limits.h").read_text() for floor in ("base", "document"))
    found = SCHEMAS[kind]
    while path:
        # Names of methods hold dots: the longest member that is there is meant.
        key = max((key for key in found if path == key or path.startswith(key + ".")), key=len)
        found, path = found[key], path[len(key) + 1 :]
    assert re.search(rf"^#define {name} \(?{found}\b", header, re.MULTILINE)
