"""The page in a real browser, answered by the released weights."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import icc
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from loopback import on_loopback
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from team.services import until

from unmask.inference.pictures import decode_picture, encode_picture
from unmask.masking.samples import sample
from unmask.networks import RELEASED
from unmask.registry.pyfunc import Unmask
from unmask.serving import page as served_page
from unmask.serving import page_requests, uploads
from unmask.serving.page import RestoreFunction, mount

CHROMIUM = shutil.which("chromium")
PATIENCE = 90_000  # milliseconds, on a busy machine
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]


@contextmanager
def serving(ask: RestoreFunction) -> Iterator[str]:
    """The page on a free port of this machine."""
    with on_loopback(mount(FastAPI(), ask), timeout_graceful_shutdown=5) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def ask() -> RestoreFunction:
    model = Unmask()
    model.load_context(SimpleNamespace(artifacts={"networks": str(RELEASED)}))

    def answer(raw: bytes, params: dict) -> dict:
        given = pd.DataFrame({"image": [base64.b64encode(raw).decode()]})
        return model.predict(None, given, params).iloc[0].to_dict()

    return answer


@pytest.fixture(scope="module")
def url(ask: RestoreFunction) -> Iterator[str]:
    with serving(ask) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, url: str, width: int = 1280, scheme: str = "light") -> Iterator[Page]:
    """The page in a tab of its own, all of whose requests go to this machine."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    tab, hosts = context.new_page(), set()
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    tab.goto(url)
    restore_button(tab).wait_for()
    try:
        yield tab
    finally:
        context.close()
    assert hosts - {None} == {"127.0.0.1"}  # None: data: and blob:


def restore_button(tab: Page):
    return tab.get_by_role("button", name="Restore", exact=True)


def choose(tab: Page, file: Path) -> None:
    tab.locator("#photo input[type=file]").set_input_files(file)
    expect(tab.locator("#photo img")).to_be_visible(timeout=PATIENCE)
    expect(tab.locator("#said .empty")).to_be_visible(timeout=PATIENCE)


def restore(tab: Page) -> str:
    """Press Restore, wait for what the page says thereupon and return it."""
    stale = "all => all.forEach(said => said.remove())"
    tab.locator("#said .said").evaluate_all(stale)
    restore_button(tab).click()
    return told(tab)


def told(tab: Page) -> str:
    said = tab.locator("#said :is(.done, .unchanged, .error)")
    said.wait_for()
    return said.inner_text()


def pictures(tab: Page, within: str) -> list[np.ndarray]:
    """The pictures that are shown, all loaded."""
    images = tab.locator(f"{within} img")
    loaded = "all => all.every(i => i.naturalWidth > 0)"
    until(lambda: images.evaluate_all(loaded), "all pictures are loaded", 60)
    sources = images.evaluate_all("all => all.map(i => i.src)")
    return [decode_picture(tab.request.get(source).body(), source) for source in sources]


def written(folder: Path, name: str, picture: np.ndarray) -> Path:
    path = folder / name
    path.write_bytes(encode_picture(picture))
    return path


def masked(index: int, side: int = 256) -> np.ndarray:
    return sample(1, index, side, masked=True)


def two_faces() -> np.ndarray:
    photo = np.full((480, 900, 3), (120, 130, 140), np.uint8)
    photo[110:366, 130:386], photo[110:366, 500:756] = masked(3), masked(5)
    return photo


def portrait() -> np.ndarray:
    photo = np.full((1500, 900, 3), (150, 140, 130), np.uint8)
    photo[300:1068, 66:834] = masked(8, 768)
    return photo


def test_an_uploaded_photo_is_restored_by_a_click(browser, url, ask, tmp_path):
    file = written(tmp_path, "one.png", masked(3))
    expected = ask(file.read_bytes(), {})
    with opened(browser, url) as tab:
        choose(tab, file)
        assert restore(tab) == "One face restored."
        before, after = pictures(tab, "#slider")
        assert before.shape == after.shape
        assert (before != after).any()
        assert len(pictures(tab, "#found")) == 1
        cells = tab.locator("table.faces tbody tr").all_inner_texts()
        assert len(cells) == 1
        face = expected["faces"][0]
        share = max(face["gender_male"], 1 - face["gender_male"])
        for words in ("Restored", f"{share:.0%}", f"{face['mask_fraction']:.0%}"):
            assert words in cells[0]
        expect(tab.get_by_text("do not use it to identify anyone")).to_be_visible()
        name, content = downloaded(tab)
        assert name == "one.restored.png"
    assert content == base64.b64decode(expected["image"])
    assert "synthesised" in Image.open(io.BytesIO(content)).info["Comment"]


def downloaded(tab: Page) -> tuple[str, bytes]:
    with tab.expect_download() as download:
        tab.locator("#download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_the_download_has_the_photo_s_own_format_and_profile_or_another(browser, url, tmp_path):
    file = tmp_path / "phone.jpg"
    photo = Image.fromarray(np.rot90(masked(3)))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(file, quality=90, icc_profile=icc.display_p3(), exif=exif)
    with opened(browser, url) as tab:
        choose(tab, file)
        assert restore(tab) == "One face restored."
        name, content = downloaded(tab)
        assert name == "phone.restored.jpg"
        with Image.open(io.BytesIO(content)) as answer:
            assert answer.format == "JPEG"
            assert answer.info["icc_profile"] == icc.display_p3()
            assert b"compositeWithTrainedAlgorithmicMedia" in answer.info["xmp"]
        tab.get_by_label("Format").click()
        tab.get_by_role("option", name="WebP").click()
        until(lambda: downloaded(tab)[0] == "phone.restored.webp", "another format", 60)
        tab.screenshot(path=tmp_path / "page.png", full_page=True)


def test_a_photo_on_its_side_is_restored(browser, url, tmp_path):
    photo = np.full((420, 640, 3), 120, np.uint8)
    photo[100:356, 200:456] = masked(3)
    with opened(browser, url) as tab:
        choose(tab, written(tmp_path, "side.png", np.ascontiguousarray(np.rot90(photo))))
        assert restore(tab) == "One face restored."
        before, after = pictures(tab, "#slider")
        changed = np.argwhere((before != after).any(axis=2)) / before.shape[:2]
        assert before.shape[0] > before.shape[1]
        assert 0.2 < changed[:, 0].mean() < 0.8


def test_what_if_changes_the_picture_and_draws_others(browser, url, ask, tmp_path):
    file = written(tmp_path, "one.png", masked(3))
    with opened(browser, url) as tab:
        choose(tab, file)
        restore(tab)
        likeliest = pictures(tab, "#slider")[1]
        answers = []
        for name in ("Male", "Female"):
            tab.get_by_role("radio", name=name, exact=True).check()
            shown = likeliest if not answers else answers[-1]
            until(
                lambda shown=shown: (pictures(tab, "#slider")[1] != shown).any(), "another face", 60
            )
            answers.append(pictures(tab, "#slider")[1])
        assert (answers[0] != answers[1]).any()
        tab.get_by_role("spinbutton", name="Other plausible faces").fill("3")
        expect(tab.locator("#gallery img")).to_have_count(3, timeout=PATIENCE)
        first = pictures(tab, "#gallery")
        assert (first[0] != first[1]).any()
        expect(tab.get_by_text("Uncertainty")).to_be_visible()
        assert np.ptp(pictures(tab, "#spread")[0].astype(int)) > 100
        tab.get_by_label("Seed").fill("7")
        until(lambda: (pictures(tab, "#gallery")[0] != first[0]).any(), "another gallery", 60)


def test_another_photo_starts_anew(browser, url, tmp_path):
    with opened(browser, url) as tab:
        choose(tab, written(tmp_path, "one.png", masked(3)))
        restore(tab)
        tab.get_by_role("radio", name="Female", exact=True).check()
        told(tab)
        tab.get_by_role("button", name="Try a synthetic face").click()
        expect(tab.locator("#said .empty")).to_be_visible(timeout=PATIENCE)
        (face,) = pictures(tab, "#photo")
        assert face.shape == (256, 256, 3)
        expect(tab.locator("#slider")).to_have_count(0)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (sample(1, 4, 256, masked=False), "Nothing was changed: no mask was found on the face."),
        (np.full((300, 400, 3), 127, np.uint8), "Nothing was changed: no face was found."),
    ],
    ids=["no mask", "no face"],
)
def test_a_photo_that_stays_as_it_is_says_why(browser, url, tmp_path, picture, said):
    with opened(browser, url) as tab:
        choose(tab, written(tmp_path, "photo.png", picture))
        assert restore(tab) == said
        expect(tab.locator("#slider")).to_have_count(0)
        expect(tab.locator("table.faces tbody tr")).to_have_count(1)


def test_errors_are_a_sentence_on_the_page(browser, url, tmp_path, monkeypatch):
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    named_wrongly = tmp_path / "notes.png"
    named_wrongly.write_text("no picture")
    with opened(browser, url) as tab:
        assert restore(tab) == "Choose a photo first, or try a synthetic face."
        tab.locator("#photo input[type=file]").set_input_files(notes)
        expect(tab.get_by_text("Invalid file type: notes.txt")).to_be_visible(timeout=PATIENCE)
        tab.locator("#photo input[type=file]").set_input_files(named_wrongly)
        expect(tab.locator("#said .empty")).to_be_visible(timeout=PATIENCE)
        assert restore(tab) == "notes.png: not an image that can be read."
        expect(tab.get_by_role("alert")).to_be_visible()


def test_a_file_over_the_limit_is_refused_with_a_sentence(browser, ask, tmp_path, monkeypatch):
    monkeypatch.setattr(served_page, "LARGEST_FILE", 10_000)
    with serving(ask) as url, opened(browser, url) as tab:
        tab.locator("#photo input[type=file]").set_input_files(
            written(tmp_path, "large.png", masked(3))
        )
        expect(tab.get_by_text("size", exact=False)).to_be_visible(timeout=PATIENCE)
        expect(tab.locator("#photo img")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("photo", "faces"), [(two_faces, 2), (portrait, 1)], ids=["landscape", "portrait"]
)
def test_nothing_sticks_out_at_phone_and_desktop_width(
    browser, url, tmp_path, photo, faces, width, scheme
):
    with opened(browser, url, width, scheme) as tab:
        choose(tab, written(tmp_path, "photo.png", photo()))
        restore(tab)
        expect(tab.locator("table.faces tbody tr")).to_have_count(faces)
        for part in ("#slider", "#found"):
            pictures(tab, part)
        tab.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        box = tab.locator("#slider").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def files() -> list[Path]:
    return [path for path in uploads.upload_folder().rglob("*") if path.is_file()]


def test_uploads_and_answers_are_not_kept(browser, ask, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "SWEEP_SECONDS", 1)
    monkeypatch.setattr(uploads, "KEEP_SECONDS", 40)
    with serving(ask) as url:
        with opened(browser, url) as tab:
            choose(tab, written(tmp_path, "mine.png", masked(5)))
            restore(tab)
            assert "mine.png" in {file.name for file in files()}
            until(lambda: not files(), "the files are swept", 60)
            assert restore(tab) == "The photo is no longer kept: choose it again."
        with opened(browser, url) as tab:
            choose(tab, written(tmp_path, "last.png", masked(5)))
            assert "last.png" in {file.name for file in files()}
    assert not uploads.upload_folder().exists()


def test_a_file_of_this_machine_is_not_taken_for_an_upload(url, tmp_path):
    """What a page sends names the upload by its path, which anyone can write."""
    private = written(tmp_path, "private.png", masked(3))
    assert "not uploaded" in refused_path(url, str(private))


def refused_path(url: str, path: str, place: int = 0) -> str:
    """The error of a restoration where a request names a file in an input's place."""
    data: list = [None, "auto", 0, 0, "same", []]
    data[place] = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = {"data": data, "fn_index": 0, "session_hash": "someone"}
    httpx.post(f"{url}/gradio_api/queue/join", json=asked).raise_for_status()
    with httpx.stream(
        "GET", f"{url}/gradio_api/queue/data?session_hash=someone", timeout=60
    ) as told:
        events = (json.loads(line[6:]) for line in told.iter_lines() if line.startswith("data: "))
        done = next(event for event in events if event["msg"] == "process_completed")
    assert not done["success"]
    return done["output"]["error"]


def test_the_page_fetches_nothing_that_a_request_names_by_its_url(url, monkeypatch):
    fetched = []
    monkeypatch.setattr(httpx.AsyncClient, "send", lambda *asked, **_: fetched.append(asked))
    elsewhere = "https://example.com/photo.png"
    for place in range(6):
        assert "not uploaded" in refused_path(url, elsewhere, place), place
    for path in (f"file={elsewhere}", f"proxy={elsewhere}", f"file/{elsewhere}"):
        assert httpx.get(f"{url}/gradio_api/{path}").status_code == 404, path
    assert not fetched


@pytest.mark.parametrize("path", ["vibe-code", "info", "openapi.json", "run/restored", "token"])
def test_what_the_page_does_not_ask_is_not_answered(url, path):
    assert httpx.get(f"{url}/gradio_api/{path}").status_code == 404
    assert httpx.post(f"{url}/gradio_api/{path}", json={}).status_code == 404


def test_faces_are_chosen_one_by_one(browser, url, tmp_path):
    photo = two_faces()
    with opened(browser, url, 390) as tab:
        choose(tab, written(tmp_path, "two.png", photo))
        expect(tab.locator("#chosen")).to_be_hidden()
        assert restore(tab) == "2 faces restored."
        both = pictures(tab, "#slider")[1]
        boxes = tab.locator("#chosen input[type=checkbox]")
        expect(boxes).to_have_count(2)
        boxes.nth(0).uncheck()
        expect(tab.locator("#said .done")).to_have_text(
            "1 of 2 faces restored; the table says why not the others.", timeout=PATIENCE
        )
        before, one = pictures(tab, "#slider")
        sides = [np.s_[:, :450], np.s_[:, 450:]]
        unlike = [(one[side] != before[side]).any() for side in sides]
        assert sorted(unlike) == [False, True]
        assert (one[sides[unlike.index(True)]] == both[sides[unlike.index(True)]]).all()
        expect(tab.locator("table.faces tbody")).to_contain_text("it was not chosen")
        tab.screenshot(path=tmp_path / "chosen.png", full_page=True)
        boxes.nth(1).uncheck()
        expect(tab.locator("#said .error")).to_have_text("Choose one face or more.")
        with tab.expect_event("requestfinished", lambda request: "queue/data" in request.url):
            tab.get_by_label("Male", exact=True).check()  # no other option restores them all
        expect(tab.locator("#said .error")).to_have_text("Choose one face or more.")
        tab.get_by_label("As it seems").check()
        boxes.nth(0).check()
        boxes.nth(1).check()
        expect(tab.locator("#said .done")).to_have_text("2 faces restored.", timeout=PATIENCE)
        choose(tab, written(tmp_path, "other.png", masked(3)))
        expect(tab.locator("#chosen")).to_be_hidden()
        assert restore(tab) == "One face restored."
        expect(tab.locator("#chosen")).to_be_hidden()


def test_black_and_white_stays_so(browser, url, tmp_path):
    grey = np.repeat(masked(3)[..., 1:2], 3, axis=2)
    with opened(browser, url) as tab:
        choose(tab, written(tmp_path, "grey.png", grey))
        assert restore(tab) == "One face restored."
        before, after = (picture.astype(int) for picture in pictures(tab, "#slider"))
    changed = (before != after).any(axis=2)
    assert changed.any()
    assert np.ptp(after[changed], axis=1).max() <= 2


def test_uploads_that_come_to_too_much_are_refused_with_a_sentence(
    browser, ask, tmp_path, monkeypatch
):
    monkeypatch.setattr(page_requests, "MOST_KEPT", 10_000)
    with serving(ask) as url, opened(browser, url) as tab:
        tab.locator("#photo input[type=file]").set_input_files(
            written(tmp_path, "large.png", masked(3))
        )
        expect(tab.get_by_text("keeps too many photos now")).to_be_visible(timeout=PATIENCE)
        expect(tab.locator("#photo img")).to_have_count(0)
