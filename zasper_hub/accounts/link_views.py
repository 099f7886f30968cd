"""The pages behind links that administrators give out: choose a password; join the hub or a team."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from zasper_hub.accounts.errors import Exists, Forbidden, Invalid, NotFound, TooMany
from zasper_hub.accounts.models import User
from zasper_hub.accounts.permissions import Need, view_needs
from zasper_hub.accounts.services import audit, invitations
from zasper_hub.accounts.services import people_administration as administration
from zasper_hub.accounts.throttling import LINKS, clock_s, counted_address

# Signed in by what the link proves, not by a password.
_BACKEND = "django.contrib.auth.backends.ModelBackend"
MAX_PASSWORD_LENGTH = 1000  # hashing a longer one would be work for nothing


@view_needs(Need.ANYONE)
@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest, person_key: str, token: str) -> HttpResponse:
    """The person of a one-time link chooses a password and is signed in."""
    if is_too_often(request):
        return too_often(request)
    try:
        person = administration.person_of_link(person_key, token)
        if request.method != "POST":
            return render(request, "account/choose_password.html", {"person": person})
        person = administration.choose_password(person_key, token, password=chosen_password(request))
    except NotFound as error:
        return link_is_dead(request, error.message)
    except Invalid as error:
        context = {"person": person, "problem": error.message}
        return render(request, "account/choose_password.html", context, status=error.status)
    return sign_in_and_go(request, person)


def chosen_password(request: HttpRequest) -> str:
    """What was typed, twice alike. Raises Invalid."""
    password, again = request.POST.get("password", ""), request.POST.get("again", "")
    if password != again:
        raise Invalid("The two passwords are not the same. Type them again.", field="again")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise Invalid(f"A password has at most {MAX_PASSWORD_LENGTH} characters.", field="password")
    return password


def sign_in_and_go(request: HttpRequest, person: User) -> HttpResponse:
    login(request, person, backend=_BACKEND)
    return HttpResponseRedirect(settings.LOGIN_REDIRECT_URL)


def link_is_dead(request: HttpRequest, message: str) -> HttpResponse:
    return render(request, "account/link_dead.html", {"message": message}, status=404)


def is_too_often(request: HttpRequest) -> bool:
    """Whether links were tried from this address more often than anybody needs to."""
    address, now_s = counted_address(request), clock_s()
    if LINKS.is_reached(address, now_s):
        return True
    LINKS.note(address, now_s)
    return False


def too_often(request: HttpRequest) -> HttpResponse:
    error = TooMany("Too many tries from your address. Wait a minute and try again.")
    response = render(request, "429.html", {"message": error.message}, status=error.status)
    response["Retry-After"] = "60"
    return response


@view_needs(Need.ANYONE)
@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """The page behind an invitation: make an account, or, signed in, join the team."""
    if is_too_often(request):
        return too_often(request)
    try:
        invitation = invitations.open_invitation(secret)
    except NotFound as error:
        return link_is_dead(request, error.message)
    user = request.user if isinstance(request.user, User) else None
    context: dict[str, object] = {"invitation": invitation, "person": user, "given": request.POST}
    context["makes_accounts"] = invitations.makes_accounts(invitation)
    if request.method != "POST":
        return render(request, "account/join.html", context)
    address = audit.address_of(request)
    try:
        if user is not None:
            invitations.join_as_member(secret, user, address=address)
            return HttpResponseRedirect(settings.LOGIN_REDIRECT_URL)
        person = invitations.join_as_new(
            secret,
            username=request.POST.get("username", "")[:200],
            password=chosen_password(request),
            display_name=request.POST.get("display_name", "")[:200],
            email=request.POST.get("email", "")[:300],
            address=address,
        )
    except NotFound as error:
        return link_is_dead(request, error.message)
    except (Invalid, Exists, Forbidden) as error:
        return render(
            request, "account/join.html", {**context, "problem": error.message}, status=error.status
        )
    return sign_in_and_go(request, person)
