"""For tools that want WSGI. Serve with asgi.py: there a waiting caller costs no thread."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("COUNTERSIGN_PROCESS", "web")

application = get_wsgi_application()
