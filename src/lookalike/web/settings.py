"""Django's settings; everything that a person may choose is read from the environment.

| variable | meaning |
|---|---|
| `LOOKALIKE_HOME` | folder of the server's own files |
| `LOOKALIKE_ROOTS` | folders that may be indexed from the browser, separated as in `PATH` |
| `LOOKALIKE_HOSTS` | names by which the server is reached, separated by commas |
| `LOOKALIKE_HTTPS` | `1` behind a proxy that speaks HTTPS |
| `DATABASE_URL` | another database than the SQLite file, such as PostgreSQL |
"""

import os
from pathlib import Path
from typing import Any, Final

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from lookalike.web.home import ServerHome

HOME: Final = ServerHome.from_environment()
_PACKAGE: Final = Path(__file__).parent

HOME.prepare()
DEBUG = False
SECRET_KEY = HOME.secret()
IS_HTTPS: Final = os.environ.get("LOOKALIKE_HTTPS", "") == "1"
ALLOWED_HOSTS = [
    host
    for host in os.environ.get("LOOKALIKE_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
    if host
]
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "LOOKALIKE_HOSTS must name the hosts by which the server is reached; * would let any page "
        "pretend to be one"
    )
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS] if IS_HTTPS else []

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "csp",
    "axes",
    "lookalike.web.apps.WebConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "lookalike.web.middleware.RequestLog",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "lookalike.web.middleware.Headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "lookalike.web.middleware.Faults",
    "axes.middleware.AxesMiddleware",
    "lookalike.web.idempotency.KeptAnswers",
]

ROOT_URLCONF = "lookalike.web.urls"
WSGI_APPLICATION = "lookalike.web.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_PACKAGE / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "lookalike.web.context.navigation",
            ],
            "builtins": ["lookalike.web.templatetags.lookalike"],
        },
    }
]


_CONNECTION_SECONDS: Final = 60


def _database() -> dict[str, Any]:
    if os.environ.get("DATABASE_URL"):
        return dict(
            dj_database_url.config(conn_max_age=_CONNECTION_SECONDS, conn_health_checks=True)
        )
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME.database,
        "CONN_MAX_AGE": _CONNECTION_SECONDS,
        "OPTIONS": {
            "timeout": 10,
            # A transaction that will write takes its turn at once instead of failing half-way.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "web.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "start"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATION: Final = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "web/locked.html"
AXES_VERBOSE = False

SESSION_COOKIE_NAME = "lookalike_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_NAME = "lookalike_csrf"
CSRF_COOKIE_HTTPONLY = False
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz/"]
if IS_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "worker-src": [SELF, "blob:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

STATIC_URL = "static/"
STATICFILES_DIRS = [_PACKAGE / "static"]
STATIC_ROOT = HOME.static
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600

DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
FILE_UPLOAD_HANDLERS = ["lookalike.web.uploads.LimitedUpload"]
FILE_UPLOAD_PERMISSIONS = 0o600

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "lookalike.web.logs.JsonLines"},
        "plain": {"format": "%(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json" if os.environ.get("LOOKALIKE_LOG", "") == "json" else "plain",
        }
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "lookalike.web": {"level": os.environ.get("LOOKALIKE_LOG_LEVEL", "WARNING")},
        "axes": {"level": "ERROR"},
    },
}
