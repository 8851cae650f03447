"""What holds for the whole of the code, checked where a reviewer would not look twice."""

import ast
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.template.loader import get_template
from django.utils.module_loading import import_string

from escalations import errors, queue

ROOT = Path(__file__).resolve().parents[2]
RECORD_AND_ROOM = [path for folder in ("escalations", "reviews") for path in sorted((ROOT / folder).rglob("*.py"))]


def named(path):
    return str(path.relative_to(ROOT))


def test_imports_only_go_down():
    told = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("path", sorted(queue.JOBS.values()))
def test_every_job_name_finds_its_function(path):
    assert callable(import_string(path))


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


def templates():
    return sorted(path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*") if path.is_file())


def test_every_template_parses():
    assert templates()
    for path in templates():
        get_template(str(path))


def test_no_template_trusts_what_it_was_given():
    unsafe = re.compile(r"\|\s*safe\b|autoescape\s+off|\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\bsrc=)")
    pages = [path for path in templates() if path.suffix != ".txt"]  # mails are plain text: escaping would only spoil them

    assert [path for path in pages if unsafe.search((ROOT / "templates" / path).read_text(encoding="utf-8"))] == []


def those_with(pattern):
    found = re.compile(pattern)
    return [named(path) for path in RECORD_AND_ROOM if found.search(path.read_text(encoding="utf-8"))]


def test_no_text_is_declared_safe():
    assert those_with(r"mark_safe|SafeString\([^)]|__html__") == []


def test_nobody_hooks_signals_or_points_anywhere():
    assert those_with(r"@receiver|GenericForeignKey|\b(pre|post)_(save|delete|init)\b|_signal\.connect\(") == []


def moves_a_state(path):
    """Whether this code assigns to `proposal.state` or updates `state` of proposals in the mass."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute) and target.attr == "state" and "proposal" in ast.unparse(target.value):
                    return True
        named_state = isinstance(node, ast.Call) and any(word.arg == "state" for word in node.keywords)
        if named_state and re.search(r"Proposal\..*update$", ast.unparse(node.func), re.DOTALL):
            return True
    return False


def test_only_the_lifecycle_moves_a_state():
    others = [path for path in RECORD_AND_ROOM if not {"lifecycle", "migrations"} & set(path.parts)]

    assert [named(path) for path in others if moves_a_state(path)] == []


def test_moving_a_state_would_be_seen(tmp_path):
    for line in ("proposal.state = State.APPROVED", "Proposal.objects.filter(pk=1).update(state='approved', version=2)"):
        (tmp_path / "sneaky.py").write_text(line)
        assert moves_a_state(tmp_path / "sneaky.py")


def codes():
    found, todo = set(), [errors.CountersignError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        found.add(kind.code)
    return sorted(found - {"error"})


def test_every_error_code_is_documented():
    documented = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")

    assert [code for code in codes() if f"`{code}`" not in documented] == []
