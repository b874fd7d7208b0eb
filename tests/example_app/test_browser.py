"""Every page of the shop in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from tests.example_app.browsing import DESKTOP, PHONE, Visit, chromium, visiting
from tests.example_app.conftest import Books, open_shop
from tests.example_app.serving import Address, served

# One worker runs them all: one browser is started, once.
pytestmark = pytest.mark.xdist_group("browser")


# Not for the whole test run: while Playwright's sync API is in use, its thread can run no other event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def shop(sqlite_url: str, instance: Path) -> Flask:
    return open_shop(sqlite_url, instance)


@pytest.fixture
def address(shop: Flask) -> Iterator[Address]:
    with served(shop) as address:
        yield address


@pytest.fixture
def home(address: Address) -> str:
    return "http://{}:{}".format(*address)


@pytest.fixture
def visit(browser: Browser, home: str) -> Iterator[Visit]:
    with visiting(browser, home, DESKTOP) as visit:
        yield visit


def put_into_basket(visit: Visit, name: str, quantity: int) -> None:
    """From the shelves into the basket, as a visitor does it."""
    visit.go("/")
    visit.page.get_by_label("Search for products").fill(name)
    visit.press("Search")
    visit.follow(name)
    visit.page.get_by_label("Quantity").fill(str(quantity))
    visit.press("Add to basket")


def test_the_shelves_are_looked_through_page_by_page(visit: Visit) -> None:
    visit.go("/")
    assert visit.heading == "On our shelves"
    cards = visit.page.locator(".card")
    expect(cards).to_have_count(12)
    first = cards.first.inner_text()
    visit.follow("Next")
    assert visit.path == "/?page=2"
    expect(cards).to_have_count(12)
    assert cards.first.inner_text() != first
    expect(visit.page.locator(".pages [aria-current=page]")).to_have_text("Page 2")
    visit.follow("Page 7")
    expect(cards).to_have_count(2)
    expect(visit.page.get_by_role("link", name="Next")).to_have_count(0)
    visit.follow("Previous")
    assert visit.path == "/?page=6"


def test_a_search_finds_a_product_and_leads_to_its_page(visit: Visit) -> None:
    visit.go("/")
    visit.page.get_by_label("Search for products").fill("tea")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Found for “tea”")
    expect(visit.page.locator(".card")).to_have_count(2)
    visit.follow("Green tea")
    assert visit.heading == "Green tea"
    assert "€ 5.90" in visit.text
    visit.follow("Drinks")
    expect(visit.page.locator(".card")).to_have_count(11)


def test_a_search_without_results_says_so(visit: Visit) -> None:
    visit.go("/")
    visit.page.get_by_label("Search for products").fill("elephants")
    visit.press("Search")
    assert visit.status == 200
    assert "Nothing on our shelves matches" in visit.text
    visit.follow("Show all products")
    expect(visit.page.locator(".card")).to_have_count(12)


def test_a_product_that_is_sold_out_says_so(visit: Visit) -> None:
    visit.go("/?q=marzipan")
    visit.follow("Marzipan pigs")
    assert "Sold out" in visit.text
    expect(visit.page.get_by_role("button", name="Add to basket")).to_have_count(0)


def test_an_order_is_placed_from_the_shelf_to_the_audit_trail(visit: Visit, books: Books) -> None:
    put_into_basket(visit, "Baguette", 2)
    put_into_basket(visit, "Olive oil", 1)
    assert visit.heading == "Your basket"
    assert "Total: € 13.10" in visit.text
    stock = books.stock("Baguette")
    visit.page.get_by_label("Who orders?").select_option(label="Lucía Fernández")
    visit.press("Place order")
    assert re.fullmatch(r"/orders/\d+", visit.path)
    number = visit.path.removeprefix("/orders/")
    assert visit.heading == f"Order {number}"
    assert f"Order {number} is placed. Thank you!" in visit.text
    assert "Lucía Fernández" in visit.text
    assert "€ 13.10" in visit.text
    assert books.stock("Baguette") == stock - 2
    visit.page.reload()
    assert "Thank you!" not in visit.text
    visit.follow("Basket")
    assert "There is nothing in it yet" in visit.text
    visit.follow("Orders")
    expect(visit.page.get_by_role("row").nth(1)).to_contain_text("Lucía Fernández")
    visit.follow("Audit trail")
    assert f"2 × Baguette ({stock - 2} left)" in visit.text
    visit.follow(f"Order {number}")
    assert visit.heading == f"Order {number}"


def test_too_little_stock_is_a_page_that_leads_back_to_the_basket(visit: Visit, books: Books) -> None:
    put_into_basket(visit, "Almond tart", 4)
    before = books.all_counts()
    visit.page.get_by_label("Who orders?").select_option(label="Ada Okafor")
    visit.press("Place order")
    assert visit.status == 409
    assert visit.heading == "We don’t have that many"
    assert "you wanted 4, only 3 are left" in visit.text
    assert books.all_counts() == before
    visit.follow("Change your basket")
    visit.page.get_by_label("Quantity of Almond tart").fill("3")
    visit.page.get_by_label("Who orders?").select_option(label="Ada Okafor")
    visit.press("Place order")
    assert visit.status == 200
    assert books.stock("Almond tart") == 0


def test_mistakes_in_the_order_form_are_explained_and_what_was_typed_is_kept(visit: Visit) -> None:
    put_into_basket(visit, "Baguette", 2)
    put_into_basket(visit, "Whole milk", 1)
    visit.page.get_by_label("Quantity of Baguette").fill("a few")
    visit.page.get_by_label("Who orders?").select_option(label="Ada Okafor")
    visit.press("Place order")
    assert visit.status == 422
    field = visit.page.get_by_label("Quantity of Baguette")
    expect(field).to_have_value("a few")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("Write a whole number from 0 to 99.")
    expect(visit.page.get_by_label("Who orders?").locator("option:checked")).to_have_text("Ada Okafor")
    visit.page.get_by_role("alert").get_by_role("link").click()
    expect(field).to_be_focused()
    field.fill("2")
    visit.page.get_by_label("Who orders?").select_option(index=0)
    visit.press("Place order")
    assert visit.status == 422
    expect(visit.page.get_by_label("Who orders?")).to_have_accessible_description("Choose who orders.")
    visit.page.get_by_label("Who orders?").select_option(label="Ada Okafor")
    visit.press("Place order")
    assert visit.heading.startswith("Order ")


def test_a_mistake_on_the_product_page_is_explained(visit: Visit) -> None:
    visit.go("/products/1")
    visit.page.get_by_label("Quantity").fill("0")
    visit.press("Add to basket")
    assert visit.status == 422
    expect(visit.page.get_by_label("Quantity")).to_have_accessible_description("Write a whole number from 1 to 99.")
    expect(visit.page.get_by_label("Quantity")).to_be_focused()


def test_the_basket_is_changed_and_emptied(visit: Visit) -> None:
    put_into_basket(visit, "Baguette", 2)
    put_into_basket(visit, "Whole milk", 1)
    visit.page.get_by_label("Quantity of Baguette").fill("5")
    # The Enter key changes the basket, and places no order.
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")
    assert visit.path == "/basket"
    assert "Total: € 9.50" in visit.text
    visit.press("Remove Baguette")
    assert "Total: € 1.50" in visit.text
    visit.page.get_by_label("Quantity of Whole milk").fill("0")
    visit.press("Update basket")
    assert "There is nothing in it yet" in visit.text
    visit.follow("Look at our products")
    assert visit.heading == "On our shelves"


def test_orders_and_audit_trail_go_on_where_a_page_ends(visit: Visit) -> None:
    for product in ("Baguette", "Whole milk"):
        put_into_basket(visit, product, 1)
        visit.page.get_by_label("Who orders?").select_option(index=1)
        visit.press("Place order")
    visit.follow("Orders")
    expect(visit.page.locator("tbody tr")).to_have_count(15)
    visit.follow("Next")
    expect(visit.page.locator("tbody tr")).to_have_count(5)
    visit.follow("Order 1")
    visit.follow("All orders")
    visit.follow("Audit trail")
    expect(visit.page.locator(".trail li")).to_have_count(20)
    visit.follow("Older")
    expect(visit.page.locator(".trail li")).to_have_count(1)
    assert "shop opened" in visit.text
    visit.follow("Newer")
    expect(visit.page.locator(".trail li")).to_have_count(20)


def test_a_wrong_address_leads_back_to_the_shelves(visit: Visit) -> None:
    visit.go("/cellar")
    assert visit.status == 404
    assert visit.heading == "Not Found"
    visit.follow("Back to the shelves")
    assert visit.heading == "On our shelves"


def test_the_api_is_linked_and_answers(visit: Visit) -> None:
    visit.go("/")
    visit.follow("JSON API")
    assert visit.status == 200
    assert '"total":74' in visit.text


def test_a_form_on_another_site_cannot_order(visit: Visit, books: Books) -> None:
    before = books.all_counts()
    visit.page.set_content(f"""
        <form method="post" action="{visit.home}/orders">
          <input name="customer_id" value="1"><input name="quantity-1" value="1"><input name="reference" value="x">
          <button>You have won</button>
        </form>""")
    visit.press("You have won")
    assert visit.status == 403
    assert "sent from another site" in visit.text
    assert books.all_counts() == before


def test_the_keyboard_alone_is_enough_to_reach_the_content(visit: Visit) -> None:
    visit.go("/")
    visit.page.keyboard.press("Tab")
    expect(visit.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("main")).to_be_focused()


@pytest.mark.parametrize(
    "path",
    ["/", "/?page=7", "/?q=no-such-thing", "/products/1", "/basket", "/orders", "/orders/1", "/audit", "/cellar"],
)
def test_every_page_fits_a_phone(browser: Browser, home: str, path: str) -> None:
    with visiting(browser, home, PHONE) as visit:
        put_into_basket(visit, "Baguette", 2)
        visit.go(path)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for control in visit.page.locator("main button, main .button, main input:visible, main select").all():
            box = control.bounding_box()
            assert box is not None
            assert box["height"] >= 44, "too small for a finger"


def test_an_order_is_placed_on_a_phone(browser: Browser, home: str, books: Books) -> None:
    stock = books.stock("Baguette")
    with visiting(browser, home, PHONE) as visit:
        put_into_basket(visit, "Baguette", 2)
        visit.page.get_by_label("Quantity of Baguette").fill("nine")
        visit.press("Place order")
        assert visit.status == 422
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        visit.page.get_by_label("Quantity of Baguette").fill("1")
        visit.page.get_by_label("Who orders?").select_option(label="Ada Okafor")
        visit.press("Place order")
        assert visit.heading.startswith("Order ")
    assert books.stock("Baguette") == stock - 1
