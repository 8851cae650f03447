"""What becomes of a test whose client cannot be installed: told why, and not tried for every other that wants the same."""

import subprocess
import sys

import pytest

from tests.clients import conftest


def command(folder, body):
    """A stand-in for an installer: writes down each time it runs, then does `body`."""
    runs = folder / "runs"
    return runs, [sys.executable, "-c", f"import pathlib, sys, time; runs = pathlib.Path({str(runs)!r}); n = len(runs.read_text()) if "
                  f"runs.exists() else 0; runs.write_text('x' * (n + 1)); {body}"]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_failed(monkeypatch):
    monkeypatch.setattr(conftest, "FAILED", {})


def test_what_fails_twice_is_told_and_kept_for_that_environment_alone(tmp_path):
    runs, fails = command(tmp_path, "sys.exit('no such version')")

    with pytest.raises(pytest.skip.Exception, match="NAME==9 COULD NOT BE INSTALLED: no such version"):
        conftest.install(fails, tmp_path / "name-9", ("name==9",))
    with pytest.raises(pytest.skip.Exception, match="no such version"):
        conftest.skip_what_failed(tmp_path / "name-9", ("name==9",))

    assert len(runs.read_text()) == 2
    conftest.skip_what_failed(tmp_path / "npm-name-9", ("name==9",))  # another installer's, under the same name


def test_what_works_the_second_time_is_not_skipped(tmp_path):
    runs, mends = command(tmp_path, "sys.exit(0 if n else 'busy')")

    conftest.install(mends, tmp_path / "name", ("name",))

    assert len(runs.read_text()) == 2


def test_what_never_ends_is_not_tried_again(tmp_path, monkeypatch):
    asked = []

    def endless(command, **options):
        asked.append(command)
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(conftest.subprocess, "run", endless)

    with pytest.raises(pytest.skip.Exception, match=f"it took more than {conftest.INSTALLING} s"):
        conftest.install(["npm"], tmp_path / "name", ("name",))

    assert len(asked) == 1
