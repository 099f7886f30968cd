"""The pages that are there before the app: sign in, sign out, and what went wrong on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.views import LoginView
from axes.decorators import axes_form_invalid
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods

from zasper_hub.accounts.api import error_response
from zasper_hub.accounts.errors import CsrfFailed, TooMany
from zasper_hub.accounts.permissions import Need, view_needs
from zasper_hub.accounts.redirects import safe_next

API_PREFIX = "/api/hub/"


@method_decorator(ensure_csrf_cookie, name="dispatch")
class SignInView(LoginView):  # type: ignore[misc]  # allauth has no types
    template_name = "account/login.html"

    def get_success_url(self) -> str:
        return next_of(self.request) or settings.LOGIN_REDIRECT_URL

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "next": next_of(self.request)}

    @axes_form_invalid  # type: ignore[untyped-decorator]
    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422  # a script must not take it for a sign-in
        if any(error.code == "too_many_login_attempts" for error in form.non_field_errors().as_data()):
            response.status_code = 429
            response["Retry-After"] = "60"
        return response


sign_in = view_needs(Need.ANYONE)(SignInView.as_view())


@view_needs(Need.ANYONE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """Asks on GET, since a GET changes nothing; signs out on POST."""
    if request.method == "POST":
        logout(request)
        return HttpResponseRedirect(settings.LOGOUT_REDIRECT_URL)
    if not request.user.is_authenticated:
        return redirect("account_login")
    return render(request, "account/logout.html")


@view_needs(Need.ANYONE)
def sign_up_is_closed(request: HttpRequest) -> HttpResponse:
    return render(request, "account/signup_closed.html", status=403)


@view_needs(Need.ANYONE)
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in of Django's admin is ours; who is signed in but no administrator is told so."""
    if request.user.is_authenticated:
        return render(request, "403.html", {"reason": "The admin panel is for administrators."}, status=403)
    target = safe_next(request.GET.get("next"), settings.BASE_PATH) or reverse("admin:index")
    return redirect(f"{settings.LOGIN_URL}?next={target}")


def next_of(request: HttpRequest) -> str | None:
    return safe_next(request.POST.get("next") or request.GET.get("next"), settings.BASE_PATH)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Named in the settings: what Django answers when the page's security token is missing or wrong."""
    if request.path_info.startswith(API_PREFIX):
        return error_response(CsrfFailed())
    return render(request, "403.html", {"reason": CsrfFailed().message}, status=403)


def locked_out(
    request: HttpRequest, original_response: object = None, credentials: object = None
) -> HttpResponse:
    """Named in the settings: what axes answers after too many wrong passwords for one name from one address."""
    cooloff_time: timedelta = settings.AXES_COOLOFF_TIME
    minutes = int(cooloff_time.total_seconds() // 60)
    message = f"Too many wrong passwords for this username. Wait {minutes} minutes and try again."
    error = TooMany(message, retry_after_s=minutes * 60)
    if request.path_info.startswith(API_PREFIX):
        return error_response(error)
    context = {"message": message, "next": next_of(request)}
    response = render(request, "account/locked_out.html", context, status=error.status)
    response["Retry-After"] = str(minutes * 60)
    return response
