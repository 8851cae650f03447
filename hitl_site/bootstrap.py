"""From a bare Python to a running Countersign: the virtual environment, the packages, then the supervisor.

Standard library only, and a syntax that old Pythons read too: whoever has one should get a sentence, not a traceback.

    python3 hitl_site/bootstrap.py          what `make run` does
    python3 hitl_site/bootstrap.py --dev    only install, the tests' packages included
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
NEEDED = (3, 11)
ROOM = 700 * 1024 * 1024  # bytes: the packages, PostgreSQL and a first day's data


def give_up(sentence):
    """End with one line and a status a shell understands."""
    sys.stderr.write("countersign: %s\n" % sentence)
    raise SystemExit(1)


def check_python():
    """Go on with a newer Python when this one is too old and one is installed."""
    if sys.version_info >= NEEDED:
        return
    which = getattr(shutil, "which", lambda name: None)  # Python 2 has none
    for name in ("python3.13", "python3.12", "python3.11"):
        found = which(name)
        if found and subprocess.call([found, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            os.execv(found, [found] + sys.argv)
    give_up("Python 3.11 or newer is needed, this is %s. Install one, or: make run PYTHON=/path/to/python3.11" % (
        ".".join(str(part) for part in sys.version_info[:3])))


def check_room(path):
    """Give up while there is still room to say so."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    free = shutil.disk_usage(path).free
    if free < ROOM:
        give_up("No space: %d MB are free on the disk of %s, %d are needed." % (free >> 20, path, ROOM >> 20))


def check_port():
    """Give up when somebody listens there already."""
    port = os.environ.get("PORT", "").strip() or "8000"
    if not port.isdigit() or not 0 < int(port) < 65536:
        give_up("PORT must be a number from 1 to 65535, not %r." % port)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(port)))
    except OSError as error:
        give_up("Port %s cannot be used (%s). Choose another: PORT=8001 make run" % (port, error.strerror or error))
    finally:
        listener.close()


def read(name):
    """Return a file of the checkout as bytes."""
    with open(os.path.join(ROOT, name), "rb") as file:
        return file.read()


def install(names):
    """Make .venv and put the packages into it; nothing to do when a stamp says that it was done with these files."""
    wanted = hashlib.sha256(b"\n".join([sys.version.encode()] + [read(name) for name in names])).hexdigest()
    stamp = os.path.join(VENV, "countersign-" + names[-1] + ".sha256")
    if os.path.exists(stamp) and os.path.exists(PYTHON):
        with open(stamp) as file:
            if file.read() == wanted:
                return
    check_room(ROOT)
    print("Installing packages into .venv (once; a minute or two) ...")
    sys.stdout.flush()
    if not os.path.exists(PYTHON) or subprocess.call([PYTHON, "-c", "import pip"], stderr=subprocess.DEVNULL):
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if made.returncode:
            last = made.stdout.decode("utf-8", "replace").strip().splitlines()[-1:]
            give_up("The virtual environment could not be made: %s (on Debian and Ubuntu: apt install python3-venv)" % (
                " ".join(last)))
    command = [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    for name in names:
        command += ["-r", os.path.join(ROOT, name)]
    if subprocess.call(command, stdin=subprocess.DEVNULL):
        give_up("The packages could not be installed; the lines above say why.")
    with open(stamp, "w") as file:
        file.write(wanted)


def main():
    """Install, and unless only that was asked for, become the supervisor."""
    check_python()
    if "--dev" in sys.argv[1:]:
        install(["requirements.txt", "requirements-dev.txt"])
        return
    if not os.path.exists(PYTHON):
        check_port()  # before two minutes of installing; later the supervisor looks, after ending what an earlier run left
    install(["requirements.txt"])
    os.chdir(ROOT)
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("LOG_FORMAT", "text")
    os.environ["PORT"] = os.environ.get("PORT", "").strip() or "8000"  # never the one that an earlier run noted
    sys.stdout.flush()
    os.execv(PYTHON, [PYTHON, "-m", "hitl_site.supervisor"])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130)
    except OSError as error:
        give_up("%s: %s" % (error.filename or "The disk", error.strerror or error))
