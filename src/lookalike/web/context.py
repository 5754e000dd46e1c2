"""What every page needs: where a person can go."""

from typing import Any

from django.http import HttpRequest

from lookalike import __version__
from lookalike.web.models import HostedCollection, User


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Return the collections a person may see, for the menu."""
    user = getattr(request, "user", None)
    collections = HostedCollection.objects.open_to(user) if isinstance(user, User) else ()
    return {"menu_collections": collections, "version": __version__}
