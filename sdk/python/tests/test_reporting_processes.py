"""What becomes of reports when programs, threads and children end, or are killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hosting import PATIENCE, until

import countersign
from countersign.reporting.spool import Spool

SRC = Path(countersign.__file__).parents[1]


def run(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), **environment},
    )


AWAY = """
from countersign import reporting
from countersign.reporting import excepthook
reporting.configure("http://127.0.0.1:9", "cs_live_a_b", spool={folder!r}, service="script")
excepthook.install()
"""


def test_a_script_that_ends_with_an_exception_leaves_its_report_behind(tmp_path):
    done = run(AWAY.format(folder=str(tmp_path)) + "raise ValueError('the end')")
    assert done.returncode == 1 and "ValueError: the end" in done.stderr
    assert "countersign: reference " in done.stderr and "recorded here, will be reported" in done.stderr
    (path,) = tmp_path.glob("*.report.json")
    assert json.loads(path.read_bytes())["report"]["title"] == "ValueError: the end"


def test_what_is_still_in_hand_when_the_program_ends_is_kept(tmp_path):
    done = run(AWAY.format(folder=str(tmp_path)) + "reporting.report(ValueError('x'), wait=0); reporting.report(KeyError('y'), wait=0)")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.report.json"))) == 2


def test_threads_that_end_with_an_exception_are_reported(tmp_path):
    done = run(AWAY.format(folder=str(tmp_path)) + "import threading; t = threading.Thread(target=lambda: 1 / 0, name='w'); t.start(); t.join()")
    assert done.returncode == 0
    (path,) = tmp_path.glob("*.report.json")
    report = json.loads(path.read_bytes())["report"]
    assert report["title"].startswith("ZeroDivisionError") and report["payload"]["thread"] == "w"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_reports_too(tmp_path):
    script = AWAY.format(folder=str(tmp_path)) + """
import os
reporting.report(ValueError("parent"))
child = os.fork()
if child == 0:
    reporting.report(ValueError("child"))
    reporting.current().close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(path.read_bytes())["report"]["title"] for path in tmp_path.glob("*.report.json")) == [
        "ValueError: child", "ValueError: parent",
    ]


def test_a_process_killed_while_it_keeps_a_report_leaves_whole_ones_only(tmp_path):
    script = f"""
from pathlib import Path
from countersign.reporting.spool import Spool
spool = Spool(Path({str(tmp_path / 's')!r}), most=50, most_bytes=10**7)
print("go", flush=True)
n = 0
while True:
    n += 1
    spool.put(f"k{{n}}", {{"n": "x" * 20_000}})
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
    )
    assert process.stdout.readline() == b"go\n"
    until(lambda: len(list((tmp_path / "s").glob("*.report.json"))) >= 3)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    process.stdout.close()
    spool = Spool(tmp_path / "s", most=50, most_bytes=10**7)
    assert len(list(spool.oldest())) >= 3 and spool.lost == 0
