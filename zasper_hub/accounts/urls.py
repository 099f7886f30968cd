"""Addresses below `/accounts/`. The names are those allauth looks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from zasper_hub.accounts import link_views, views

urlpatterns: list[URLPattern] = [
    path("login/", views.sign_in, name="account_login"),
    path("logout/", views.sign_out, name="account_logout"),
    path(
        "choose-password/<str:person_key>/<str:token>/",
        link_views.choose_password,
        name="account_choose_password",
    ),
    path("join/<str:secret>/", link_views.join, name="account_join"),
    path("signup/", views.sign_up_is_closed, name="account_signup"),
]
