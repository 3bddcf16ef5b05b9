# SPDX-License-Identifier: Apache-2.0
"""The schemas of this repository, loaded once, with patterns read as ECMA-262 reads them."""

import json
import pathlib
import re

import jsonschema
from jsonschema import validators

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in sorted((ROOT / "schemas").glob("*.schema.json"))}


def _pattern(validator, pattern, instance, schema):
    """In ECMA-262 `$` is the end of the text; in Python it also matches before a last newline."""
    if validator.is_type(instance, "string") and not re.search(re.sub(r"(?<!\\)\$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


Validator = validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})
_STORE = {schema["$id"]: schema for schema in SCHEMAS.values()}


def validator(kind, definition=None):
    """A validator for schemas/<kind>.schema.json, or for one of its $defs."""
    schema = SCHEMAS[kind]
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=_STORE)
    if definition:
        schema = {"$ref": f"{schema['$id']}#/$defs/{definition}"}
    return Validator(schema, resolver=resolver)


def problems(kind, document, definition=None):
    """What is wrong with a document, as short texts; empty when nothing is."""
    return [f"{error.json_path}: {error.message}" for error in validator(kind, definition).iter_errors(document)]
