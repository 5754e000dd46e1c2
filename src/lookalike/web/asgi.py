"""What `lookalike serve` runs: the pages, which answer in threads, behind the gate."""

from typing import Any, Final, cast

from a2wsgi import WSGIMiddleware
from django.conf import settings

from lookalike.web.gate import Application, Gate
from lookalike.web.wsgi import application as pages

# Its tables exist once Django is set up, as that module does.
from lookalike.web import metrics  # isort: skip

THREADS: Final = 32
"""More than are at work at once: some stream long answers to those who read slowly."""

_in_threads = cast(Application, WSGIMiddleware(cast(Any, pages), workers=THREADS))
application = Gate(_in_threads, settings.SESSION_COOKIE_NAME)
metrics.REFUSED.set_function(lambda: application.n_refused)
