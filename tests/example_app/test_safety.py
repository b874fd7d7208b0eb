"""What keeps the shop safe: other sites' forms, headers, the secret key."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from example_app import create_app
from example_app.extensions import uow
from example_app.settings import secret_key
from tests.example_app.conftest import open_shop


@pytest.fixture
def shop(sqlite_url: str, instance: Path) -> Flask:
    return open_shop(sqlite_url, instance)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": "null"},
    ],
)
def test_a_write_from_another_site_is_refused(visitor: FlaskClient, headers: dict[str, str]) -> None:
    page = visitor.post("/products/1/basket", data={"quantity": "1"}, headers=headers)
    assert page.status_code == 403
    assert "sent from another site" in page.text
    assert visitor.post("/api/orders", json={}, headers=headers).status_code == 403
    assert "There is nothing in it yet" in visitor.get("/basket").text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},
    ],
)
def test_a_write_of_the_shops_own_forms_and_of_programs_is_taken(visitor: FlaskClient, headers: dict[str, str]) -> None:
    assert visitor.post("/products/1/basket", data={"quantity": "1"}, headers=headers).status_code == 303


def test_other_sites_may_link_to_the_shop(visitor: FlaskClient) -> None:
    assert visitor.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("address", ["/", "/basket", "/orders/1", "/nothing", "/api/products", "/static/shop.css"])
def test_every_response_has_the_security_headers(visitor: FlaskClient, address: str) -> None:
    with visitor.get(address) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: FlaskClient) -> None:
    cookie = visitor.post("/products/1/basket", data={"quantity": "1"}).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_what_a_customer_wrote_is_shown_and_not_run(visitor: FlaskClient) -> None:
    page = visitor.get("/", query_string={"q": "<script>alert(1)</script>"}).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    key = secret_key(tmp_path)
    assert len(key) == 64
    assert secret_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_workers_that_start_together_share_one_secret_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(secret_key, [tmp_path] * 64))
    assert len(keys) == 1


def test_the_environment_configures_the_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_SECRET_KEY", "from outside")
    monkeypatch.setenv("FLASK_UNITOFWORK_DATABASES", "sqlite:///elsewhere.db")
    shop = create_app(instance_path=tmp_path)
    with shop.app_context():
        uow.create_all()
        uow.dispose()
    assert shop.secret_key == "from outside"
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "secret_key").exists()


def test_two_shops_live_side_by_side_with_one_extension(tmp_path: Path) -> None:
    shops = [create_app(instance_path=tmp_path / name) for name in ("north", "south")]
    for shop in shops:
        with shop.app_context():
            uow.create_all()
    assert [shop.test_client().get("/").status_code for shop in shops] == [200, 200]
    for shop in shops:
        with shop.app_context():
            uow.dispose()
