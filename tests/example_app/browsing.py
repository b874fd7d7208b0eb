"""A visitor with a real browser: Chromium, as the system has it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, ViewportSize, sync_playwright

__all__ = ["DESKTOP", "PHONE", "Visit", "chromium", "visiting"]

DESKTOP: Final[ViewportSize] = {"width": 1200, "height": 900}
PHONE: Final[ViewportSize] = {"width": 375, "height": 667}

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox: containers, where builds run, do not allow it. The others keep the browser from talking to anybody else.
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium() -> Generator[Browser]:
    """The system's Chromium, headless. The test is skipped where there is none, or fails where that is demanded."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        reason = f"no Chromium on the PATH: looked for {', '.join(_NAMES)}"
        if os.environ.get("UNITOFWORK_TEST_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page in a browser, and what went wrong on it.

    Attributes:
        page: what the visitor sees.
        home: the shop's address.
        errors: what the console said, what failed to load; empty is good.
        status: of the last document.
    """

    page: Page
    home: str
    errors: list[str] = field(default_factory=list)
    status: int = 0
    _documents: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def go(self, path: str) -> None:
        """Type an address."""
        self.page.goto(self.home + path)

    def press(self, button: str) -> None:
        """Press a button and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()

    def follow(self, link: str) -> None:
        """Follow a link and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=link, exact=True).first.click()

    @property
    def heading(self) -> str:
        """The page's main heading; it has exactly one."""
        return self.page.get_by_role("heading", level=1).inner_text()

    @property
    def text(self) -> str:
        """All that can be read on the page."""
        return re.sub(r"\s+", " ", self.page.locator("body").inner_text())

    @property
    def path(self) -> str:
        """Where the visitor is."""
        return self.page.url.removeprefix(self.home)

    def _answered(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self._documents.add(response.url)
            self.status = response.status

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium calls every document with a status from 400 on a resource that failed; those are tested as pages.
        is_document = message.location["url"] in self._documents and message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not is_document:
            self.errors.append(message.text)

    def _failed(self, request: Request) -> None:
        # Whoever leaves a page early has its last pictures aborted.
        if request.failure != "net::ERR_ABORTED":
            self.errors.append(f"{request.url}: {request.failure}")


@contextmanager
def visiting(browser: Browser, home: str, viewport: ViewportSize) -> Generator[Visit]:
    """A visitor who has never been here. Nothing may go wrong on any page that they see."""
    context = browser.new_context(viewport=viewport)
    try:
        visit = Visit(context.new_page(), home)
        yield visit
        if visit.errors:
            pytest.fail(f"the browser complained: {visit.errors}")
    finally:
        context.close()
