"""Settings, all from the environment (docs/operations.md lists the variables).

Without DATABASE_URL or REDIS_URL the embedded servers in COUNTERSIGN_VAR are used, and started where they are not
running."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import structlog
from celery.schedules import crontab

from accounts import oidc_providers
from agents import networks
from config import addresses, embedded, mail, rates, secret
from config.problem import Problem

django_stubs_ext.monkeypatch()  # lets annotations name ModelAdmin[User] and the like at run time

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("COUNTERSIGN_VAR") or BASE_DIR / "var").absolute()

SECRET_KEY = os.environ.get("SECRET_KEY") or secret.load_or_create(VAR / "secret_key")
DEBUG = os.environ.get("DEBUG", "") == "1"
DEMO = os.environ.get("COUNTERSIGN_DEMO", "") == "1"
PUBLIC_URL = os.environ.get("COUNTERSIGN_URL", "").rstrip("/")
"""The address people and executors know this installation by: the `iss` of grants. Empty: http://HOST:PORT."""
if not PUBLIC_URL:
    PUBLIC_URL = f"http://{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
ALLOWED_HOSTS = [host for host in os.environ.get("ALLOWED_HOSTS", "").split(",") if host] or [
    urlsplit(PUBLIC_URL).hostname or "localhost",
    "localhost",
    "127.0.0.1",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL.startswith("https://") else []
IS_HTTPS = PUBLIC_URL.startswith("https://")

DATABASE_ROLE = addresses.role(os.environ)
"""Who this process is in the database: web, worker and beat are `app`, which can add to the audit log and no more."""
_urls = addresses.named(os.environ)
REDIS_URL = os.environ.get("REDIS_URL", "")
if not (_urls and (REDIS_URL or DATABASE_ROLE == "sealer")):  # on a host of its own it needs no Redis
    _services = embedded.ensure(VAR)
    _urls, REDIS_URL = _services.database_urls, _services.redis_url
if DATABASE_ROLE not in _urls:
    raise Problem(f"{addresses.VARIABLES[DATABASE_ROLE]} is not set, while another role's address is.")
DATABASE_URL = _urls[DATABASE_ROLE]
DATABASE_ADDRESS_IS_SHARED = DATABASE_ROLE != "app" and _urls.get("app") == DATABASE_URL
"""Everything runs under one address; the system check says what that leaves open."""

SEALER_DIR = Path(os.environ.get("COUNTERSIGN_SEALER_DIR") or VAR / "sealer")
"""The sealer's alone: the key that signs checkpoints, and the last one it signed. Web needs no access to it."""
LOG_DIR = Path(os.environ.get("COUNTERSIGN_LOG_DIR") or VAR / "log-files")
"""The transparency log: tiles, checkpoints, timestamps, cosignatures. Written by the sealer, public to read."""
CONTENT_KEYS_DIR = Path(os.environ.get("COUNTERSIGN_CONTENT_KEYS_DIR") or VAR / "content-keys")
"""One key per data subject; never beside the database's backups, or erasing somebody erases nothing."""
TIMESTAMP_URL = os.environ.get("COUNTERSIGN_TIMESTAMP_URL", "")
TIMESTAMP_ROOTS = os.environ.get("COUNTERSIGN_TIMESTAMP_ROOTS", "")
"""An RFC 3161 authority, and the file with its root certificates (PEM)."""
WITNESSES = [key for key in os.environ.get("COUNTERSIGN_WITNESSES", "").split(",") if key]
"""Public keys (C2SP vkeys) of witnesses whose cosignatures are taken."""


DATABASES = {"default": addresses.entry(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "config.apps.CountersignConfig",
    "approvals.apps.ApprovalsConfig",
    "agents.apps.AgentsConfig",
    "accounts.apps.AccountsConfig",
    "audit.apps.AuditConfig",
    "config.apps.CountersignAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_structlog",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
]

MIDDLEWARE = [
    "config.middleware.RequestSource",
    "config.middleware.DomainErrors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.middleware.PersonSource",
    "config.sessions.SessionLife",
    "config.middleware.LocalTime",
    "config.middleware.RightsReadOnce",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.PersonLimits",
    "allauth.account.middleware.AccountMiddleware",
    "config.sessions.SecondFactorWanted",
]
API_MIDDLEWARE = [
    "config.middleware.RequestSource",
    "config.middleware.DomainErrors",
    "config.middleware.AgentLimits",
]
"""What stands before /api/ and the health addresses, which know no session (STACK.md: few middlewares there)."""

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

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
                "config.context.installation",
            ]
        },
    }
]

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "accounts.backends.Roles",
]
GUARDIAN_USER_OBJ_PERMS_MODEL = "accounts.PersonPermission"
GUARDIAN_GROUP_OBJ_PERMS_MODEL = "accounts.TeamPermission"
SILENCED_SYSTEM_CHECKS = [
    "guardian.W001",  # its backend knows no end of a right; accounts.backends does
    "security.W021",  # the browsers' preload list takes a whole domain, which is not for one program on it to say
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "accounts.passwords.NotInBreaches"},
]
BREACHED_PASSWORDS = os.environ.get("COUNTERSIGN_BREACHED_PASSWORDS", "")
"""A file of SHA-1 hashes of stolen passwords, sorted by hash, as it can be downloaded; looked up on this machine."""
ANONYMOUS_USER_NAME = None
GUARDIAN_RAISE_403 = True
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_ADAPTER = "accounts.adapter.ClosedAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {"login": "120/m/ip" if DEMO else "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
SOCIALACCOUNT_ADAPTER = "accounts.oidc_client.ProviderAdapter"
try:
    OIDC_PROVIDERS = oidc_providers.from_environment(os.environ)
except ValueError as error:
    raise Problem(str(error)) from error
"""Identity providers that people sign in at, besides their passwords (docs/directory.md)."""
MFA_ADAPTER = "accounts.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODE_DIGITS = 12
MFA_RATE_LIMITS = {"webauthn_login": "120/m/ip" if DEMO else "40/m/ip"}
LOGIN_URL = "account_login"
SECOND_FACTOR = os.environ.get("COUNTERSIGN_SECOND_FACTOR") or (
    "required" if IS_HTTPS and not DEMO else "offered"
)
"""Whether admins and reviewers of high-risk queues can do anything before they have a second factor: "required", as
wherever the installation is served by https, or "offered" (accounts/second_factor.py)."""
if SECOND_FACTOR not in ("required", "offered"):
    raise Problem(f"COUNTERSIGN_SECOND_FACTOR={SECOND_FACTOR} is neither required nor offered.")
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

CACHES = {
    "default": {
        "BACKEND": "config.cache.HintCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "countersign",
    }
}
SESSION_ENGINE = "accounts.session_store"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_SECONDS = 30 * 60
"""A session ends twelve hours after the sign-in, and thirty minutes after its person did something last."""
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
if IS_HTTPS:  # bound by the browser to this host, this path and TLS
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
else:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "sessionid", "csrftoken"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.views.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = os.environ.get("COUNTERSIGN_HSTS_SUBDOMAINS", "1") != "0"
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

SIGNED_APPROVALS = os.environ.get("COUNTERSIGN_SIGNED_APPROVALS") or ("required" if IS_HTTPS else "offered")
"""Whether approvals of high risk have to be signed with a passkey, or are by who has one (approvals/signing.py)."""
if SIGNED_APPROVALS not in ("required", "offered"):
    raise Problem(f"COUNTERSIGN_SIGNED_APPROVALS is required or offered, not {SIGNED_APPROVALS!r}.")

COOL_DOWN_HOURS = 24
"""So old a right has to be before an admin decides by it (approvals/separation.py)."""

LIMITS = rates.from_environment(os.environ)
"""How often agents and people may ask, and how much of an agent may be open (config/limits.py)."""
REFUSALS_EACH = 10
"""So many refusals of one party for one reason within ten minutes are an event each (config/refusals.py)."""

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static.HashedStatic"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

MAIL = mail.from_environment(os.environ, public_url=PUBLIC_URL)
"""How e-mail leaves (config/mail.py); `MAIL.is_set_up` is what the pages say about it."""
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend" if MAIL.is_set_up else "config.mail_folder.MailFolder"
)
EMAIL_HOST, EMAIL_PORT = MAIL.host, MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL.user, MAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL.starttls, MAIL.tls
EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = VAR / "mail"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = MAIL.sender
PROXIES = networks.read(os.environ.get("COUNTERSIGN_PROXIES", ""))
"""Whose X-Forwarded-For is believed: nobody's, unless named. Credentials are kept to networks by the address."""
ISSUER_HOSTS = frozenset(
    host.strip().lower() for host in os.environ.get("COUNTERSIGN_ISSUER_HOSTS", "").split(",") if host.strip()
)
"""Servers inside the company whose key sets are fetched although their addresses are private (agents/fetching.py)."""
ISSUERS_ON_LOOPBACK = DEBUG
"""Whether an issuer may be on this machine itself and speak without TLS."""
CHAT_HOSTS = frozenset(
    host.strip().lower() for host in os.environ.get("COUNTERSIGN_CHAT_HOSTS", "").split(",") if host.strip()
)
"""Chat servers inside the company: reached although their addresses are private, and without TLS if they must."""

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
MAX_BODY_BYTES = 256 * 1024
"""The largest request body an agent may send (DESIGN.md §4)."""

CELERY_BROKER_URL = (
    REDIS_URL.replace("unix://", "redis+socket://", 1) if REDIS_URL.startswith("unix://") else REDIS_URL
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 300, "global_keyprefix": "countersign:"}
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "approvals.tasks.tick", "schedule": 2.0, "options": {"expires": 10}},
    "deliver": {"task": "approvals.tasks.deliver", "schedule": 2.0, "options": {"expires": 4}},
    "webhooks": {"task": "approvals.tasks.webhooks", "schedule": 2.0, "options": {"expires": 4}},
    "execute": {"task": "approvals.tasks.execute", "schedule": 1.0, "options": {"expires": 4}},
    "clear_webhooks": {
        "task": "approvals.tasks.clear_webhooks",
        "schedule": crontab(minute="23"),
        "options": {"expires": 3000},
    },
    "probe": {"task": "approvals.tasks.probe", "schedule": 2.0, "options": {"expires": 4}},
    "assess": {"task": "approvals.tasks.assess", "schedule": 5.0, "options": {"expires": 10}},
    "watch_log": {"task": "approvals.tasks.watch_log", "schedule": 60.0, "options": {"expires": 50}},
    "watch_log_thoroughly": {
        "task": "approvals.tasks.watch_log_thoroughly",
        "schedule": crontab(hour="3", minute="17"),
    },
    "rebuild": {"task": "approvals.tasks.rebuild_evidence", "schedule": crontab(hour="2", minute="41")},
    "retention": {"task": "approvals.tasks.expire_content", "schedule": crontab(hour="3", minute="11")},
    "access": {"task": "approvals.tasks.access", "schedule": 5.0, "options": {"expires": 10}},
    "roles": {"task": "accounts.tasks.end_roles", "schedule": 60.0, "options": {"expires": 50}},
    "sessions": {"task": "accounts.tasks.clear_sessions", "schedule": 3600.0, "options": {"expires": 600}},
}

LOG_LEVEL = os.environ.get("COUNTERSIGN_LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        name: {"level": "WARNING"}
        for name in (
            "httpx",
            "uvicorn.access",
            "celery.worker.strategy",
            "celery.app.trace",
        )  # two lines a tick
    }
    # What they write can hold the address of a chat service with its secret; approvals/chat.py listens by itself.
    | {
        name: {"level": "WARNING", "handlers": ["nowhere"], "propagate": False}
        for name in ("apprise", "urllib3")
    },
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
