"""A Django application in one file that sends an event for each request, and one for each order.

    pip install streamgauge-sdk django gunicorn
    gunicorn --preload --workers 4 django_app:application

The client is made before gunicorn forks; each worker has a queue and a thread of its own.
"""

from __future__ import annotations

import os
from typing import Any, Callable

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from streamgauge_sdk import Client
from streamgauge_sdk.requests import DjangoRequests

client = Client(os.environ.get("STREAMGAUGE_URL", "http://localhost:8080"), os.environ.get("STREAMGAUGE_WRITE_KEY"))


def request_events(get_response: Callable[[HttpRequest], HttpResponse]) -> DjangoRequests:
    return DjangoRequests(get_response, client, lambda request: request.headers.get("x-user"))


def get_order(_: HttpRequest, number: int) -> HttpResponse:
    return JsonResponse({"number": number})


def post_order(request: HttpRequest) -> HttpResponse:
    client.track("purchase", {"price": 9.5, "currency": "EUR"}, user_id=request.headers.get("x-user"))
    return JsonResponse({"number": 1})


def fail(_: HttpRequest) -> Any:
    raise RuntimeError("a bug of this application")


urlpatterns = [path("orders/<int:number>", get_order), path("orders", post_order), path("fail", fail)]

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for an example alone",
    MIDDLEWARE=[f"{__name__}.request_events"],
    LOGGING_CONFIG=None,
)
django.setup()
application = get_wsgi_application()
