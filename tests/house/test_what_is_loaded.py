"""What a process that serves need not carry: only training fits anything."""

import subprocess
import sys

from django.conf import settings

LOADED = "import django; django.setup(); import sys, importlib; importlib.import_module('hitl_site.urls'); print(' '.join(sys.modules))"


def test_nothing_that_only_training_needs_is_loaded_with_the_pages():
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120, check=True)
    loaded = set(done.stdout.split())
    assert "hitl_site.urls" in loaded and "escalations.classify.learned" in loaded
    assert loaded.isdisjoint({"sklearn", "scipy.optimize", "scipy.stats"})
