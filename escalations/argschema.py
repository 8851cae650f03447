"""The JSON Schema a caller may send along with an action, and what of it is believed: bounded, local, linear-time.

Without `$ref` a schema cannot loop or reach out, and its patterns are matched by RE2, so that neither schema nor args can keep a
worker busy. JSON Schema 2020-12 otherwise.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend

from escalations import canonical
from escalations.canonical import escape

MAX_BYTES = 64 * 1024
MAX_DEPTH = 24
MAX_PROBLEMS = 10
SHOWN = 300  # characters of an error that are repeated
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# References loop or lead away; `unevaluated…` re-evaluates what lies below at every level, which grows without bound.
REFUSED = frozenset(
    {"$ref", "$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "unevaluatedProperties", "unevaluatedItems"}
)
DATA = frozenset({"const", "enum", "default", "examples"})  # hold values, not schemas
NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})  # hold schemas by name


def schema_problems(schema: Any, pointer: str) -> list[dict[str, str]]:
    """Return why this schema is not taken, as pointers, codes and details; empty when it is. No queries."""
    if not isinstance(schema, dict):
        return [_problem(pointer, "wrong_type", "a schema is an object")]
    if canonical.check_signable(schema, ""):  # the reason is reported with the proposal it belongs to
        return canonical.check_signable(schema, pointer)[:MAX_PROBLEMS]
    if len(canonical.canonical_bytes(schema)) > MAX_BYTES:
        return [_problem(pointer, "too_long", f"a schema has at most {MAX_BYTES} bytes")]
    problems = list(_refused(schema, pointer, 1))[:MAX_PROBLEMS]
    if problems:
        return problems
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return [_problem(pointer + _path(error), "bad_schema", error.message[:SHOWN])]
    return []


def args_problems(schema: dict[str, Any], args: Any, pointer: str = "/args") -> list[dict[str, str]]:
    """Return how `args` break the schema, at most ten, as pointers, codes and details. Linear in both. No queries."""
    problems = []
    for error in _Validator(schema).iter_errors(args):
        problems.append(_problem(pointer + _path(error), str(error.validator), error.message[:SHOWN]))
        if len(problems) == MAX_PROBLEMS:
            break
    return problems


def _refused(schema: Any, pointer: str, depth: int) -> Iterator[dict[str, str]]:
    if depth > MAX_DEPTH:
        yield _problem(pointer, "too_deep", f"a schema is nested at most {MAX_DEPTH} deep")
        return
    if isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from _refused(one, f"{pointer}/{index}", depth + 1)
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        below = f"{pointer}/{escape(name)}"
        if name in REFUSED:
            yield _problem(below, "not_supported", f"{name} is not taken; write the schema out")
        elif name == "$schema" and value != DIALECT:
            yield _problem(below, "not_supported", f"only {DIALECT}")
        elif name == "pattern" and isinstance(value, str):
            yield from _pattern_problems(value, below)
        elif name in NAMED and isinstance(value, dict):
            for key, one in value.items():
                if name == "patternProperties":
                    yield from _pattern_problems(key, f"{below}/{escape(key)}")
                yield from _refused(one, f"{below}/{escape(key)}", depth + 1)
        elif name not in DATA:
            yield from _refused(value, below, depth + 1)


def _pattern_problems(pattern: str, pointer: str) -> Iterator[dict[str, str]]:
    try:
        _compiled(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        yield _problem(pointer, "bad_pattern", f"not an RE2 pattern: {text[:SHOWN]}")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(pattern, options)


def _found(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError(f"does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: dict[str, Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, below in patterns.items():
            for key, value in instance.items():
                if _found(pattern, key):
                    yield from validator.descend(value, below, path=key, schema_path=pattern)


def _additional_properties(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [key for key in instance if key not in known and not any(_found(pattern, key) for pattern in patterns)]
    if below is False and extra:
        yield ValidationError(f"has names that are not allowed: {', '.join(extra)[:SHOWN]}")
    elif isinstance(below, dict):
        for key in extra:
            yield from validator.descend(instance[key], below, path=key)


_Validator = extend(
    Draft202012Validator,
    {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional_properties},
)


def _path(error: Any) -> str:
    return "".join(f"/{escape(part)}" for part in error.absolute_path)


def _problem(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}
