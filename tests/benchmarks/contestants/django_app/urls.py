"""The routes, as those on Flask."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.benchmarks.elsewhere import elsewhere

from .queries import DjangoViews

__all__ = ["urlpatterns"]

views = DjangoViews()


def hello(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"message": "Hello, World!"})


def row(request: HttpRequest) -> HttpResponse:
    return JsonResponse(views.row(int(request.GET["key"])))


def rows(request: HttpRequest) -> HttpResponse:
    return _list(views.rows(_keys(request)))


def page(request: HttpRequest) -> HttpResponse:
    return _list(views.page(int(request.GET["above"])))


def authors(request: HttpRequest) -> HttpResponse:
    return _list(views.authors(int(request.GET["above"])))


def create(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"text": views.create(request.GET["text"])}, status=201)


def created(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"id": views.created(request.GET["text"])}, status=201)


def updates(request: HttpRequest) -> HttpResponse:
    return _list(views.updates(_keys(request)))


def wait(request: HttpRequest) -> HttpResponse:
    found = views.row(int(request.GET["key"]))
    elsewhere.wait()
    return JsonResponse(found)


def _keys(request: HttpRequest) -> list[int]:
    return [int(key) for key in request.GET["keys"].split(",")]


def _list(rows: list[Any]) -> HttpResponse:
    return JsonResponse(rows, safe=False)


urlpatterns = [path(view.__name__, view) for view in (hello, row, rows, page, authors, create, created, updates, wait)]
