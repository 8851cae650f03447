"""Django's settings. The environment is read in env.py; docs/settings.md says what each name does."""

from urllib.parse import parse_qs, unquote, urlsplit

from csp.constants import NONE, SELF

from hitl_site import databases, env, logs
from hitl_site.secrets_file import development_secrets

BASE_DIR = env.BASE_DIR
DATA_DIR = env.DATA_DIR
DEBUG = env.DEBUG
PRODUCTION = not DEBUG

# --- secrets and hosts

SECRET_KEY = env.SECRET_KEY
SECRET_KEY_FALLBACKS = env.SECRET_KEY_FALLBACKS
ENCRYPTION_KEYS = env.ENCRYPTION_KEYS
ALLOWED_HOSTS = env.ALLOWED_HOSTS

if PRODUCTION:
    HELP = "For a look around, `make run` does all of this by itself; for a server see docs/settings.md."
    if not SECRET_KEY:
        raise env.BadSetting(f"SECRET_KEY is not set, and DEBUG is off. {HELP}")
    if not ENCRYPTION_KEYS:
        raise env.BadSetting(f"ENCRYPTION_KEYS is not set, and DEBUG is off. {HELP}")
    if not ALLOWED_HOSTS:
        raise env.BadSetting(f"ALLOWED_HOSTS is not set, and DEBUG is off. {HELP}")
    if not env.DATABASE_URL:
        raise env.BadSetting(f"DATABASE_URL is not set, and the embedded database is for development only. {HELP}")
else:
    env.make_data_dir()
    made = development_secrets(DATA_DIR) if not (SECRET_KEY and ENCRYPTION_KEYS) else {}
    SECRET_KEY = SECRET_KEY or made["SECRET_KEY"]
    ENCRYPTION_KEYS = ENCRYPTION_KEYS or [made["ENCRYPTION_KEY"]]
    ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]", "testserver"]

# --- what is installed

INSTALLED_APPS = [
    "escalations",
    "reviews",
    "escalations.apps.AdminConfig",  # django.contrib.admin, closed to other apps' models
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django_q",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
]

# The pages' way through. Sources come in by another door, which holds no thread while they wait: see asgi.py.
MIDDLEWARE = [
    "hitl_site.middleware.RequestIds",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "hitl_site.middleware.SignInAgain",
    "axes.middleware.AxesMiddleware",
]
MACHINE_MIDDLEWARE = [
    "hitl_site.middleware.RequestIds",
    "hitl_site.middleware.MachineHeaders",
]
MACHINE_PATHS = (
    "/api/v1/", "/healthz", "/readyz", "/metrics",
    "/live/",  # read by pages, but no thread may wait there
    *(f"/api/{digit}" for digit in "123456789"),  # Sentry's: /api/<project>/envelope/
    "/humanlayer/", "/mcp", "/v2/enqueue", "/alertmanager/",
)
NO_SIGN_IN_PATHS = ("/api/", *MACHINE_PATHS, "/static/", "/slack/")

ROOT_URLCONF = "hitl_site.urls"
ASGI_APPLICATION = "hitl_site.asgi.application"
WSGI_APPLICATION = "hitl_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "reviews.room_context.preferences",
            ],
        },
    },
]

# --- database and queue

DATABASES = databases.databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ATOMIC_REQUESTS = False

# Seconds. The order HTTP_CONNECT < HTTP_TOTAL < the queue's timeout < LEASE < the queue's retry is checked at start.
HTTP_CONNECT_SECONDS = 5
HTTP_TOTAL_SECONDS = 60
LEASE_SECONDS = 120

Q_CLUSTER = {
    "name": "countersign",  # never change: it is the signing salt and the queue's name
    "orm": "default",  # the application's own alias, so that enqueuing joins the transaction
    "workers": env.QUEUE_WORKERS,
    "queue_limit": 1,  # the retry clock starts at the pull, so nothing is pulled ahead
    "bulk": 1,
    "timeout": 90,
    "retry": 900,  # crash recovery is the sweeper's work, not this
    "max_attempts": 1,
    "ack_failures": True,  # our rows own retries, back-off and giving up
    "guard_cycle": 0.5,  # nothing else: the guard compares a float with zero exactly
    "poll": 0.2,
    "recycle": 200,
    "max_rss": 300_000,  # kB
    "catch_up": False,
    "save_limit": -1,
    "compress": False,
    "daemonize_workers": True,
    "scheduler": True,
    "sync": False,
    "label": "Queue",
}

# --- people

AUTH_USER_MODEL = "escalations.Person"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "countersign_session"
CSRF_COOKIE_NAME = "countersign_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "reviews.views.doors.csrf_failed"
CSRF_TRUSTED_ORIGINS = env.CSRF_TRUSTED_ORIGINS
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "reviews.views.doors.locked_out"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- the browser's side

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if PRODUCTION:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = env.HSTS_SECONDS
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    if env.BEHIND_TLS_PROXY:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]

LANGUAGE_CODE = "en-gb"
USE_I18N = False
FORMAT_MODULE_PATH = "hitl_site.formats"
TIME_ZONE = "UTC"
USE_TZ = True
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

# --- the machines' side

MAX_BODY_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 16 * 1024 * 1024
MAX_ENVELOPE_BYTES = 20 * 1024 * 1024
BATCH_PATH = "/api/v1/incidents/batch"
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BATCH_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_BATCH_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4000
APPEND_SLASH = True

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["hitl_site.middleware.NobodyMay"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "escalations.api.problems.handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Submit an incident, or what your agent wants to do; learn what a person decided.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # its remarks are about documentation, not safety
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- what Countersign itself wants to know

PUBLIC_URL = env.PUBLIC_URL
COUNTERSIGN_MODEL = env.COUNTERSIGN_MODEL
OPENAI_API_KEY = env.OPENAI_API_KEY
OPENAI_BASE_URL = env.OPENAI_BASE_URL
LLM_TIMEOUT_SECONDS = env.LLM_TIMEOUT_SECONDS
LLM_DAILY_TOKENS = env.LLM_DAILY_TOKENS
LLM_CONCURRENCY = env.LLM_CONCURRENCY
ANCHOR_FILE = env.ANCHOR_FILE
ANCHOR_URL = env.ANCHOR_URL
DEADMAN_URL = env.DEADMAN_URL
METRICS_TOKEN = env.METRICS_TOKEN
CLAIM_SECONDS = env.CLAIM_SECONDS
SILENT_RUN_SECONDS = env.SILENT_RUN_SECONDS
SECOND_LOOK_PERCENT = env.SECOND_LOOK_PERCENT
KNOWN_ANSWER_EVERY = env.KNOWN_ANSWER_EVERY
HEARTBEAT_DEAD_AFTER = env.HEARTBEAT_DEAD_AFTER
SLACK_API_URL = env.SLACK_API_URL

# --- mail: EMAIL_URL=smtp://user:password@host:587 (smtps:// for TLS from the start); unset, the console tells --------------

DEFAULT_FROM_EMAIL = env.DEFAULT_FROM_EMAIL
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 15
if env.EMAIL_URL:
    mail = urlsplit(env.EMAIL_URL)
    if mail.scheme not in {"smtp", "smtps"} or not mail.hostname:
        raise env.BadSetting("EMAIL_URL must look like smtp://user:password@host:587 or smtps://host.")
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = mail.hostname
    EMAIL_PORT = mail.port or (465 if mail.scheme == "smtps" else 587)
    EMAIL_HOST_USER = unquote(mail.username or "")
    EMAIL_HOST_PASSWORD = unquote(mail.password or "")
    EMAIL_USE_SSL = mail.scheme == "smtps"
    EMAIL_USE_TLS = not EMAIL_USE_SSL and parse_qs(mail.query).get("tls", ["1"])[0] != "0"
else:
    EMAIL_BACKEND = "hitl_site.mail.EmailBackend" if env.DEBUG else "django.core.mail.backends.console.EmailBackend"

LOGGING_CONFIG = None
logs.configure(env.LOG_LEVEL, env.LOG_FORMAT, env.PROCESS)
