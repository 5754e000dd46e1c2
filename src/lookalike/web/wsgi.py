"""What a server that speaks WSGI runs."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from lookalike.web.gate import Gate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lookalike.web.settings")
application = Gate(get_wsgi_application(), settings.SESSION_COOKIE_NAME)

from lookalike.web import metrics  # noqa: E402 - Django must be set up first

metrics.REFUSED.set_function(lambda: application.n_refused)
