"""The one Django application of the server."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Names the application `web`, whose tables begin with it."""

    name = "lookalike.web"
    label = "web"
    default_auto_field = "django.db.models.BigAutoField"
