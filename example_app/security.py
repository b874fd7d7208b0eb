"""What keeps other sites out of the shop.

Note: why there is no CSRF token
    A forged request comes from a page of another site, and browsers say so: ``Sec-Fetch-Site`` on every request to an
    https or loopback address, ``Origin`` on every POST. A write that says so is refused. Programs that are not
    browsers send neither header, and carry nobody's cookies either. So forms need no hidden token and the API needs
    no exception. The session cookie is ``SameSite=Lax`` besides, and a GET changes nothing.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

__all__ = ["init_app"]

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS: Final = {
    # Everything comes from the shop itself: no script at all, one stylesheet, its pictures.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it browsers send "Origin: null" with the shop's own forms.
    "Referrer-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Refuse writes from other sites, and set the security headers of every response."""
    app.before_request(_refuse_other_sites)
    app.after_request(_set_headers)


def _refuse_other_sites() -> None:
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        origin = request.headers.get("Origin")
        # Only hosts are compared: behind a proxy that ends TLS, the app does not know the scheme.
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        abort(403, "This form was sent from another site. Open the shop itself and try again.")


def _set_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
