"""What is decided is read where it is written, and nobody waits for ever for a lock."""

import re

from django.conf import settings

from hitl_site import databases


def test_there_is_no_second_database_to_read_something_stale_from():
    assert set(settings.DATABASES) <= {"default", "owner"}
    assert not settings.DATABASE_ROUTERS
    for folder in ("escalations", "reviews"):
        for path in (settings.BASE_DIR / folder).rglob("*.py"):
            if path.name != "setup.py":
                assert not re.search(r"\.using\(|using=|connections\[\"(?!default)", path.read_text()), path


def test_a_migration_gives_up_waiting_and_so_does_a_request(monkeypatch):
    monkeypatch.setattr(databases.env, "PROCESS", "web")
    monkeypatch.setattr(databases.env, "DATABASE_URL", "")
    both = databases.databases()

    assert "lock_timeout=2s" in both["owner"]["OPTIONS"]["options"]
    assert "lock_timeout=5s" in both["default"]["OPTIONS"]["options"]
    assert "statement_timeout=15s" in both["default"]["OPTIONS"]["options"]
