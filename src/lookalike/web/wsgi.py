"""What a server that speaks WSGI runs; nothing limits how many requests come at once."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lookalike.web.settings")
application = get_wsgi_application()
