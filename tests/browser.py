"""Opens a page in a real browser and returns what it sees."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Seen:
    """What a browser saw of a page.

    Attributes:
        complaints: Lines of its console, and errors of scripts.
        requests: Addresses that it requested, other than the page.
        answers: Values of the expressions.
    """

    complaints: list[str]
    requests: list[str]
    answers: list[Any]


def look(page: Path, expressions: list[str], screens: list[tuple[int, str]]) -> list[Seen]:
    """Loads a page on several screens, each with a width in pixels and a colour scheme."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    pytest.importorskip("choreographer", reason="choreographer, which comes with kaleido, is not")
    return asyncio.run(_look(page, expressions, screens))


async def _look(page: Path, expressions: list[str], screens: list[tuple[int, str]]) -> list[Seen]:
    import choreographer

    async with choreographer.Browser(path=shutil.which("chromium"), headless=True) as browser:
        return [
            await _see(await browser.create_tab("about:blank"), page, expressions, *screen)
            for screen in screens
        ]


async def _see(tab: Any, page: Path, expressions: list[str], width: int, scheme: str) -> Seen:
    complaints, requests = list[str](), list[str]()

    async def complain(event: Any) -> None:
        complaints.append(str(event["params"]))

    async def ask(event: Any) -> None:
        url = event["params"]["request"]["url"]
        if not url.startswith("data:"):  # is in the page
            requests.append(url)

    for event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
        tab.subscribe(event, complain)
    tab.subscribe("Network.requestWillBeSent", ask)
    for domain in ("Page", "Runtime", "Log", "Network"):
        await tab.send_command(f"{domain}.enable")
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    wish = {"name": "prefers-color-scheme", "value": scheme}
    await tab.send_command("Emulation.setDeviceMetricsOverride", screen)
    await tab.send_command("Emulation.setEmulatedMedia", {"features": [wish]})
    loaded = tab.subscribe_once("Page.loadEventFired")
    await tab.send_command("Page.navigate", {"url": page.as_uri()})
    await loaded
    answers = []
    for expression in expressions:
        asked = {"expression": expression, "returnByValue": True}
        reply = await tab.send_command("Runtime.evaluate", asked)
        answers.append(reply["result"]["result"].get("value"))
    return Seen(complaints, [r for r in requests if r != page.as_uri()], answers)
