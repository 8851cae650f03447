"""The OpenAPI document, and a page made from it on the server: no script, nothing from elsewhere."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.generators import SchemaGenerator

from escalations import errors

from . import problems


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI document as plain JSON. Made once a process: about half a second."""
    made: dict[str, Any] = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))
    made.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    for call in _calls(made):
        call["operation"].pop("security", None)
        for status, response in call["operation"]["responses"].items():
            if status >= "400":
                response["content"] = {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return made


@csrf_exempt
def schema(request: HttpRequest) -> HttpResponse:
    """GET: the OpenAPI document; nobody needs a key to read it."""
    if request.method not in ("GET", "HEAD"):
        return problems.answer(problems.MethodNotAllowed(allow=["GET", "HEAD"]))
    return JsonResponse(document(), content_type="application/vnd.oai.openapi+json")


def page(request: HttpRequest) -> HttpResponse:
    """GET: the same to read, with every error code."""
    if request.method not in ("GET", "HEAD"):
        return problems.answer(problems.MethodNotAllowed(allow=["GET", "HEAD"]))
    made = document()
    context = {
        "calls": [_shown(call, made) for call in _calls(made)],
        "objects": [
            {"name": name, "rows": list(_rows(body))}
            for name, body in made["components"]["schemas"].items()
            if "properties" in body
        ],
        "codes": codes(),
    }
    return render(request, "api/docs.html", context)


def codes() -> list[dict[str, Any]]:
    """Return every error code with its status and its sentence, by status and name."""
    found: dict[str, type[errors.CountersignError]] = {}
    todo = [errors.CountersignError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind is not errors.CountersignError:
            found.setdefault(kind.code, kind)
    return [
        {"code": kind.code, "status": kind.status, "detail": kind.detail}
        for kind in sorted(found.values(), key=lambda kind: (kind.status, kind.code))
    ]


def _calls(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            yield {"method": method.upper(), "path": path, "operation": operation}


def _shown(call: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    operation = call["operation"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return {
        "method": call["method"],
        "path": call["path"],
        "anchor": operation["operationId"],
        "summary": operation.get("summary", ""),
        "parameters": operation.get("parameters", []),
        "body": _type(body) if body else "",
        "answers": [
            {"status": status, "type": _type(_schema_of(response))}
            for status, response in operation["responses"].items()
        ],
    }


def _schema_of(response: dict[str, Any]) -> dict[str, Any]:
    for content in response.get("content", {}).values():
        found: dict[str, Any] = content.get("schema", {})
        return found
    return {}


def _rows(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    required = body.get("required", [])
    for name, kind in body.get("properties", {}).items():
        yield {"name": name, "type": _type(kind), "required": name in required, "note": kind.get("description", "")}


def _type(kind: dict[str, Any]) -> str:
    """Return a type in words: "text", "list of Question", "approve | edit"."""
    if "$ref" in kind:
        return str(kind["$ref"].rsplit("/", 1)[1])
    if "enum" in kind:
        return " | ".join(str(one) for one in kind["enum"] if one is not None and one != "")
    for several in ("allOf", "oneOf", "anyOf"):
        if several in kind:
            return " | ".join(filter(None, (_type(one) for one in kind[several])))
    if kind.get("type") == "array":
        return f"list of {_type(kind.get('items', {}))}"
    return str(kind.get("format") or kind.get("type") or "any JSON")
