"""What the README shows can be typed in."""

import ast
import re
from pathlib import Path

import pytest

import countersign
from countersign import AsyncClient, Client

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_python_and_what_it_imports_is_there(block):
    tree = compile(block, "README", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "countersign":
            assert all(hasattr(countersign, name.name) or name.name == "reporting" for name in node.names), ast.dump(node)


def test_every_call_it_names_is_on_both_clients():
    (listed,) = re.findall(r"## The API, call by call\n\n(.*?): each returns", README.read_text(encoding="utf-8"), re.DOTALL)
    names = set(re.findall(r"`(\w+)`", listed)) | {"approve", "review", "ask", "requires_approval", "guard", "session"}
    for client in (Client, AsyncClient):
        assert names <= {name for name in dir(client) if not name.startswith("_")}


def test_every_error_it_names_is_one():
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", README.read_text(encoding="utf-8")))
    errors = {name for name in named if isinstance(getattr(countersign, name, None), type)}
    assert {"Rejected", "TimedOut", "DigestMismatch", "HandedOver", "RunStopped", "Unreachable"} <= errors
    assert {name for name in named if not hasattr(countersign, name)} <= {"Seen", "HumanInTheLoopMiddleware", "Receiver"}


def test_the_two_clients_have_the_same_calls():
    public = [{name for name in dir(client) if not name.startswith("_")} for client in (Client, AsyncClient)]
    assert public[0] - {"close"} == public[1] - {"aclose"}
