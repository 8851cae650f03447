"""Settings of the tests: the real ones, with a database of their own and a fast password hasher."""

import atexit
import base64
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("DEBUG", "1")
os.environ["COUNTERSIGN_PROCESS"] = "command"
os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("ENCRYPTION_KEYS", base64.urlsafe_b64encode(b"k" * 32).decode())
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "COUNTERSIGN_MODEL", "ANCHOR_URL", "DEADMAN_URL", "EMAIL_URL"):
    os.environ.pop(name, None)
if not os.environ.get("COUNTERSIGN_DATA"):
    folder = tempfile.mkdtemp(prefix="countersign-tests-data-")
    os.environ["COUNTERSIGN_DATA"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

from hitl_site.databases import parse  # noqa: E402 - only now is the environment the tests' own
from hitl_site.settings import *  # noqa: E402, F403
from tests import database  # noqa: E402

DATABASES = {"default": parse(database.ensure())}
if os.environ.get("COUNTERSIGN_TEST_DB"):
    DATABASES["default"]["TEST"] = {"NAME": os.environ["COUNTERSIGN_TEST_DB"]}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PUBLIC_URL = "http://testserver"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
ANCHOR_FILE = str(Path(os.environ["COUNTERSIGN_DATA"]) / f"anchors-{os.getpid()}.jsonl")
