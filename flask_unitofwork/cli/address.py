"""How a database is named on a terminal: without its secrets."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy import URL

__all__ = ["address", "without_secrets"]

_HIDDEN = "***"


def address(url: URL) -> str:
    """*url* without its password and without its query, where passwords may be too.

    Example:
        >>> from sqlalchemy import make_url
        >>> address(make_url("postgresql+psycopg://shop:secret@db.example/shop?sslpassword=secret"))
        'postgresql+psycopg://shop:***@db.example/shop'
    """
    return url.set(query={}).render_as_string(hide_password=True)


def without_secrets(message: str, url: URL) -> str:
    """*message* on one line, with ``***`` for each password that is in *url*."""
    for secret in _secrets(url):
        for written in (secret, quote(secret), quote(secret, safe="")):
            message = message.replace(written, _HIDDEN)
    return " ".join(message.split())


def _secrets(url: URL) -> list[str]:
    in_query = [
        value
        for name, values in url.query.items()
        if "pass" in name.lower() or "pwd" in name.lower()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return [secret for secret in (str(url.password or ""), *in_query) if secret]
