"""Settings: each is documented, production starts safe or not at all."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r'\b(?:text|number|flag|words)\(\s*"([A-Z_]+)"')

SAFE = {
    "DATABASE_URL": "postgresql://app@127.0.0.1:1/nowhere",
    "SECRET_KEY": "production-" + "aB3-" * 20,
    "ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"e" * 32).decode(),
    "ALLOWED_HOSTS": "countersign.example.org",
    "DEBUG": "0",
}


def manage(*arguments, **settings):
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env={**environment, **settings}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def names():
    return sorted(set(READ.findall((ROOT / "hitl_site" / "env.py").read_text(encoding="utf-8"))))


def test_there_are_settings_to_check():
    assert len(names()) > 20


@pytest.mark.parametrize("name", names())
def test_every_setting_has_a_heading(name):
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert f"\n### {name}\n" in documented


def test_no_setting_is_documented_that_nobody_reads():
    documented = re.findall(r"^### ([A-Z_]+)$", (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(documented) == set(names())


def test_nothing_else_reads_the_environment():
    allowed = {"env.py", "bootstrap.py", "supervisor.py", "children.py", "asgi.py", "wsgi.py", "web.py"}
    for folder in ("hitl_site", "escalations", "reviews"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name not in allowed:
                assert not re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ENCRYPTION_KEYS", "ALLOWED_HOSTS", "DATABASE_URL"])
def test_production_refuses_in_one_sentence_what_is_missing(missing, tmp_path):
    settings = {**SAFE, "COUNTERSIGN_DATA": str(tmp_path)} | {missing: ""}

    told = manage("check", **settings)

    assert told.returncode != 0
    assert missing in told.stderr
    assert "Traceback" not in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_a_file_never_turns_a_server_into_development(tmp_path):
    (tmp_path / "development").touch()
    settings = {**SAFE, "COUNTERSIGN_DATA": str(tmp_path), "SECRET_KEY": "", "DEBUG": ""}

    assert "SECRET_KEY is not set" in manage("check", **settings).stderr


def test_safe_production_settings_are_clean(tmp_path):
    told = manage("check", "--deploy", "--fail-level", "WARNING", **SAFE, COUNTERSIGN_DATA=str(tmp_path))

    assert told.returncode == 0, told.stderr
    assert "no issues" in told.stdout + told.stderr


def test_a_key_that_is_none_is_refused(tmp_path):
    told = manage("check", **{**SAFE, "ENCRYPTION_KEYS": "too-short"}, COUNTERSIGN_DATA=str(tmp_path))

    assert told.returncode != 0
    assert "ENCRYPTION_KEYS: key 1" in told.stderr


def test_a_number_that_is_none_is_refused_in_one_sentence(tmp_path):
    told = manage("check", **SAFE, COUNTERSIGN_DATA=str(tmp_path), PORT="eighty")

    assert told.stderr.strip() == "countersign: PORT must be a whole number, not 'eighty'."


def port_seen(folder, **settings):
    told = subprocess.run(
        [sys.executable, "-c", "from hitl_site import env; print(env.PORT, env.PUBLIC_URL)"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "COUNTERSIGN_DATA": str(folder), **settings}, capture_output=True, text=True,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout.split()


def test_a_command_finds_the_port_of_the_run_beside_it(tmp_path):
    (tmp_path / "development").write_text("8431\n")

    assert port_seen(tmp_path) == ["8431", "http://127.0.0.1:8431"]
    assert port_seen(tmp_path, PORT="8500") == ["8500", "http://127.0.0.1:8500"]
    assert port_seen(tmp_path, SECRET_KEY="a server's own")[0] == "8000"


@pytest.mark.parametrize("marker", ["", "no number", None])
def test_a_marker_without_a_port_means_the_usual_one(tmp_path, marker):
    if marker is not None:
        (tmp_path / "development").write_text(marker)

    assert port_seen(tmp_path)[0] == "8000"
