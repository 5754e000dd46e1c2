"""Accounts: the first way in, passwords, tokens, people."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lookalike.web.access import person, staff_only
from lookalike.web.models import ApiToken, AuditEntry, User, WelcomeLink

BACKEND = "django.contrib.auth.backends.ModelBackend"


@never_cache
@require_GET
def welcome(request: HttpRequest, secret: str) -> HttpResponseBase:
    """Let in whoever has a link that was never used."""
    user = WelcomeLink.redeem(secret)
    if user is None or not user.is_active:
        return render(request, "web/welcome_over.html", status=410)
    login(request, user, backend=BACKEND)
    AuditEntry.write(request, "welcomed")
    return redirect("start" if user.has_usable_password() or user.is_staff else "account")


class NewToken(forms.Form):
    """What a token needs."""

    name = forms.CharField(max_length=80)
    may_write = forms.BooleanField(required=False, label="may also change things")
    days = forms.IntegerField(min_value=1, max_value=3650, initial=90)


@require_http_methods(["GET", "POST"])
@login_required
def account(request: HttpRequest) -> HttpResponseBase:
    """Show a person's account; set the password."""
    user = person(request)
    form: Any = SetPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, user)
        AuditEntry.write(request, "password set")
        messages.success(request, "Your password is set.")
        return redirect("account")
    content = {"form": form, "token_form": NewToken(), "tokens": user.tokens.all()}
    return render(request, "web/account.html", content)


@require_POST
@login_required
def make_token(request: HttpRequest) -> HttpResponseBase:
    """Make a token and show it this once."""
    form = NewToken(request.POST)
    if not form.is_valid():
        messages.error(request, "a token needs a name and a number of days from 1 to 3650")
        return redirect("account")
    facts = form.cleaned_data
    token = ApiToken.make(
        person(request), facts["name"], may_write=facts["may_write"], days=facts["days"]
    )
    AuditEntry.write(request, "token made", facts["name"])
    return render(request, "web/token.html", {"token": token, "name": facts["name"]})


@require_POST
@login_required
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponseBase:
    """Make a token worthless at once."""
    n_revoked, _ = person(request).tokens.filter(pk=token_id).delete()
    if n_revoked:
        AuditEntry.write(request, "token revoked", str(token_id))
    return redirect("account")


class NewPerson(forms.ModelForm):  # type: ignore[type-arg]
    """What a new account needs; its password is set by whom it belongs to."""

    class Meta:
        model = User
        fields = ("username", "is_staff")


@require_http_methods(["GET", "POST"])
@staff_only
def people(request: HttpRequest) -> HttpResponse:
    """List the accounts and make new ones, each with a link that opens it once."""
    form = NewPerson(request.POST or None)
    link = ""
    if request.method == "POST" and form.is_valid():
        user = form.save(commit=False)
        user.set_unusable_password()
        user.save()
        link = request.build_absolute_uri(reverse("welcome", args=[WelcomeLink.make(user)]))
        AuditEntry.write(request, "account made", user.username)
        form = NewPerson()
    content = {"people": User.objects.order_by("username"), "form": form, "link": link}
    return render(request, "web/people.html", content)


@require_GET
@staff_only
def audit(request: HttpRequest) -> HttpResponse:
    """Show who did what."""
    content = {"entries": AuditEntry.objects.all()[:200], "broken": AuditEntry.first_broken()}
    return render(request, "web/audit.html", content)
