"""How fast the app answers: first paint of a cold server, and the round trip of a fragment with torch loaded."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Browser

from tests.serving import Server, chromium, serving, settle

STARTS = 3
TRIPS = 60
SKIPPED = 10  # until everything is warm
FRAGMENT_APP = Path(__file__).with_name("fragment_app.py")
HEADING = "h1"
WITHOUT = ("", "freeze", "nodelay", "freeze,nodelay")


def main() -> None:
    with chromium() as browser:
        paint(browser)
        round_trips(browser)


def paint(browser: Browser) -> None:
    colds, warms, healths = [], [], []
    for _ in range(STARTS):
        with serving() as server:
            healths.append(time.perf_counter() - server.started)
            colds.append(seconds_to_heading(browser, server))
            warms.append(seconds_to_heading(browser, server))
    cold, warm = median(colds), median(warms)
    print(f"first paint, median of {STARTS} (heading of Home in a browser with an empty cache)")
    print(f"  server answers        {median(healths):5.2f} s after its start")
    print(f"  cold server           {cold:5.2f} s after that")
    print(f"  warm server           {warm:5.2f} s    cold / warm = {cold / warm:.2f}")


def seconds_to_heading(browser: Browser, server: Server) -> float:
    with browser.new_context() as context:
        page = context.new_page()
        start = time.perf_counter()
        page.goto(server.url, wait_until="commit")
        page.locator(HEADING).first.wait_for()
        seconds = time.perf_counter() - start
        settle(page)
        return seconds


def round_trips(browser: Browser) -> None:
    print("round trip of a fragment, torch loaded, median and 90th percentile")
    shipped = None
    for without in WITHOUT:
        trips = measured_trips(browser, without)
        middle, late = median(trips), quantiles(trips, n=10)[-1]
        shipped = shipped or middle
        name = f"without {without}" if without else "as shipped"
        print(f"  {name:22} {middle:6.1f} ms {late:7.1f} ms    {middle / shipped:5.2f} x as shipped")


def measured_trips(browser: Browser, without: str) -> list[float]:
    with serving(FRAGMENT_APP, WITHOUT=without, TRIPS=str(TRIPS)) as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_function(f"window.trips?.length === {TRIPS}", timeout=120_000)
        trips: list[float] = page.evaluate("window.trips")
        return trips[SKIPPED:]


if __name__ == "__main__":
    main()
