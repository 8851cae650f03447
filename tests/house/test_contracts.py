"""What holds for the whole of the code, checked where a reviewer would not look twice."""

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


@pytest.mark.parametrize("path", templates(), ids=str)
def test_every_template_parses(path):
    get_template(str(path))


@pytest.mark.parametrize("path", templates(), ids=str)
def test_no_template_trusts_what_it_was_given(path):
    if path.suffix != ".txt":  # mails are plain text: escaping would only spoil them
        written = (ROOT / "templates" / path).read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape\s+off|\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\bsrc=)", written)


@pytest.mark.parametrize("path", RECORD_AND_ROOM, ids=named)
def test_no_text_is_declared_safe(path):
    assert not re.search(r"mark_safe|SafeString\(|__html__", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", RECORD_AND_ROOM, ids=named)
def test_only_the_lifecycle_moves_a_state(path):
    if "lifecycle" in path.parts or "migrations" in path.parts:
        pytest.skip("the one place")
    written = path.read_text(encoding="utf-8")

    assert not re.search(r"\bproposal\.state\s*=[^=]", written)
    assert not re.search(r"Proposal\.objects[^\n]*\.update\([^)]*\bstate=", written)


@pytest.mark.parametrize("path", RECORD_AND_ROOM, ids=named)
def test_nobody_hooks_signals_or_points_anywhere(path):
    assert not re.search(r"@receiver|GenericForeignKey|\.connect\(", path.read_text(encoding="utf-8"))


def codes():
    found, todo = set(), [errors.CountersignError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        found.add(kind.code)
    return sorted(found - {"error"})


@pytest.mark.parametrize("code", codes())
def test_every_error_code_is_documented(code):
    assert f"`{code}`" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
