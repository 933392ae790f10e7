"""Screenshots of the loop's pages, by Debian's Chromium."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium")
_PATIENCE = 90_000  # milliseconds
_DESKTOP, _PHONE = 1280, 390
_LONG = 1200  # so tall that MLflow's figures are seen below its table of runs


@contextmanager
def _tab(width: int, height: int = 860) -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        context.set_default_timeout(_PATIENCE)
        yield context.new_page()
        browser.close()


def of_comparison(mlflow: str, experiment: str, runs: list[str], out: Path) -> None:
    """MLflow's comparison of runs."""
    chosen, within = (quote(json.dumps(ids)) for ids in (runs, [experiment]))
    with _tab(_DESKTOP, _LONG) as tab:
        tab.goto(f"{mlflow}/#/compare-runs?runs={chosen}&experiments={within}")
        tab.get_by_role("button", name="Close", exact=True).click()  # an assistant's panel
        tab.get_by_role("button", name="Visualizations").click()  # folded
        tab.get_by_text("challenger/hole_psnr", exact=True).last.wait_for()
        tab.screenshot(path=out)


def of_flow_run(prefect: str, run: str, out: Path) -> None:
    """Prefect's page of a flow run."""
    with _tab(_DESKTOP) as tab:
        tab.goto(f"{prefect}/runs/flow-run/{run}")
        tab.get_by_text("Beginning flow run").first.wait_for()
        tab.locator("canvas").first.wait_for()
        tab.screenshot(path=out)


def of_page(serve: str, photo: Path, desktop: Path, phone: Path) -> str:
    """The web page with a photo restored, 1280 and 390 pixels wide.

    Returns:
        What the page says of it.
    """
    for width, out in ((_DESKTOP, desktop), (_PHONE, phone)):
        with _tab(width) as tab:
            tab.goto(serve)
            tab.locator("#photo input[type=file]").set_input_files(photo)
            tab.locator("#photo img").wait_for()
            tab.get_by_role("button", name="Restore", exact=True).click()
            tab.locator("#said .done").wait_for()
            tab.locator("#found img").wait_for()
            tab.screenshot(path=out, full_page=True)
            said = tab.locator("#said .done").inner_text()
    return said
