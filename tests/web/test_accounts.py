"""Ways in: links that open once, passwords, tokens; and what is written down."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lookalike.web.models import ApiToken, AuditEntry, User, WelcomeLink
from lookalike.web.registering import owner
from tests.web.conftest import PASSWORD


def test_a_new_server_has_no_account(db):
    assert User.objects.count() == 0


def test_a_welcome_link_opens_once(db):
    secret = WelcomeLink.make(owner())
    assert Client().get(reverse("welcome", args=[secret])).status_code == 302
    assert Client().get(reverse("welcome", args=[secret])).status_code == 410


def test_an_old_welcome_link_opens_nothing(db):
    secret = WelcomeLink.make(owner())
    WelcomeLink.objects.update(expires="2020-01-01T00:00:00Z")
    assert Client().get(reverse("welcome", args=[secret])).status_code == 410


def test_the_owner_is_made_once_and_without_a_password(db):
    assert owner() == owner()
    assert not owner().has_usable_password()


def test_weak_passwords_are_refused_and_good_ones_sign_in(people):
    address = reverse("account")
    people.viewer.post(address, {"new_password1": "short", "new_password2": "short"})
    assert not User.objects.get(username="viewer").has_usable_password()
    people.viewer.post(address, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    answer = Client().post(reverse("login"), {"username": "viewer", "password": PASSWORD})
    assert answer.status_code == 302
    assert User.objects.get(username="viewer").password.startswith("argon2")


def test_the_sixth_wrong_password_is_not_even_looked_at(people):
    user = User.objects.get(username="viewer")
    user.set_password(PASSWORD)
    user.save()
    for _ in range(5):
        Client().post(reverse("login"), {"username": "viewer", "password": "wrong"})
    answer = Client().post(reverse("login"), {"username": "viewer", "password": PASSWORD})
    assert answer.status_code == 429
    forged = Client().post(
        reverse("login"),
        {"username": "viewer", "password": PASSWORD},
        headers={"X-Forwarded-For": "203.0.113.9"},
    )
    assert forged.status_code == 429


def token_of(browser, *, may_write=False):
    answer = browser.post(
        reverse("make_token"),
        {"name": "a program", "days": "3", **({"may_write": "on"} if may_write else {})},
    )
    [token] = re.findall(r"look_[\w-]+", answer.content.decode())
    return token


def with_token(token):
    return Client(headers={"Authorization": f"Bearer {token}"})


def test_a_token_is_shown_once_stored_as_a_digest_and_revoked_at_once(people):
    token = token_of(people.viewer)
    stored = ApiToken.objects.get()
    assert token not in str(stored.__dict__)
    assert with_token(token).get(reverse("api:list_collections")).status_code == 200
    people.viewer.post(reverse("revoke_token", args=[stored.pk]))
    assert with_token(token).get(reverse("api:list_collections")).status_code == 401


def test_nobody_revokes_the_tokens_of_others(people):
    token = token_of(people.viewer)
    people.editor.post(reverse("revoke_token", args=[ApiToken.objects.get().pk]))
    assert with_token(token).get(reverse("api:list_collections")).status_code == 200


@pytest.mark.parametrize("may_write", [False, True])
def test_a_token_that_reads_starts_no_job(people, may_write):
    token = token_of(people.editor, may_write=may_write)
    address = reverse("api:make_job", args=["photos"])
    answer = with_token(token).post(address, {"kind": "index"}, content_type="application/json")
    assert answer.status_code == (200 if may_write else 403)


def test_forged_requests_are_refused(people):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="editor"))
    assert strict.post(reverse("index", args=["photos"])).status_code == 403
    address = reverse("api:make_job", args=["photos"])
    answer = strict.post(address, {"kind": "index"}, content_type="application/json")
    assert answer.status_code == 403


def test_a_changed_audit_entry_is_noticed(people):
    token_of(people.viewer)
    token_of(people.viewer)
    assert AuditEntry.objects.count() == 2
    assert AuditEntry.first_broken() is None
    first = AuditEntry.objects.order_by("id").first()
    AuditEntry.objects.filter(pk=first.pk).update(who="somebody else")
    assert AuditEntry.first_broken() == first


def test_headers_keep_pages_from_strangers(viewer):
    headers = viewer.get(reverse("search", args=["photos"])).headers
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"].startswith("private")


def test_the_use_of_a_token_is_noted_once_an_hour(people, django_assert_num_queries):
    user = User.objects.get(username="viewer")
    token = ApiToken.make(user, "p", may_write=False, days=1)
    ApiToken.find(token)
    with django_assert_num_queries(1):
        ApiToken.find(token)
    before = timezone.now() - timedelta(hours=2)
    ApiToken.objects.update(last_used=before)
    ApiToken.find(token)
    assert ApiToken.objects.get().last_used > before
