"""The page for people: drop a photo, see the face under the mask, and how sure that is."""

import base64
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np
from fastapi import FastAPI
from gradio.processing_utils import save_bytes_to_cache

from unmask.data.samples import sample
from unmask.errors import UnmaskError
from unmask.restore.answer import PictureError
from unmask.restore.pictures import decode_picture
from unmask.serving.view import View, view_of

Ask = Callable[[bytes, dict], dict]

LARGEST_FILE = 40_000_000  # bytes
KEPT, SWEPT = 600, 60  # seconds that a file is kept, and between two looks
MOST_SAMPLES = 6
_EXAMPLE_SIDE = 256  # pixels
_STYLES = Path(__file__).with_name("page.css")

_FACE = """
<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.2" aria-hidden="true">
<path d="M12 18c0-9 5-14 12-14s12 5 12 14v8c0 9-5 17-12 17S12 35 12 26z"/>
<path d="M18 18h3m6 0h3" stroke-linecap="round"/>
<path d="M12 25c4 0 8-2.5 12-2.5s8 2.5 12 2.5v1c0 9-5 17-12 17S12 35 12 26z" fill="currentColor"
 fill-opacity=".3"/><path d="M12 26l-4-3m28 3l4-3" stroke-linecap="round"/></svg>"""
_HEAD = f"""
<header class="masthead">{_FACE}<div><h1>unmask</h1>
<p>A plausible face where a photo shows a face mask</p></div></header>"""
_NOTE = """
<p class="note"><b>What the mask hides is synthesised.</b> It is a plausible face, not the person's
own: do not use it to identify anyone.</p>"""
_PRIVACY = f"""
<p class="quiet">Photos are not kept: they are deleted from this server after
{KEPT // 60} minutes.</p>"""
_ASK = """
<div class="ask"><b>What if?</b><p class="quiet">The photo does not show what the mask hides.
Assume something else, or draw other faces that fit as well.</p></div>"""
_EMPTY = f'<div class="said empty">{_FACE}<p>The restored picture will appear here.</p></div>'
_BUSY = '<p class="said busy" role="status">Restoring …</p>'


@cache
def _folder() -> tempfile.TemporaryDirectory:
    """The process's own folder of uploads and answers, removed when it ends."""
    folder = tempfile.TemporaryDirectory(prefix="unmask-page-")
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder


def mount(app: FastAPI, ask: Ask, path: str = "/") -> FastAPI:
    """Mount the page on a server, with its looks, limits and no record of runs in the browser."""
    return gr.mount_gradio_app(
        app,
        build(ask),
        path,
        app_kwargs={"lifespan": _emptied},
        css_paths=_STYLES,
        theme=_theme(),
        footer_links=[],
        run_history=False,
        max_file_size=LARGEST_FILE,
    )


def _theme() -> gr.themes.Base:
    font = gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700))  # the others lack letters
    theme = gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=[font, "sans-serif"]
    )
    card, line, soft = "var(--card)", "var(--line)", "var(--soft)"
    return theme.set(
        block_background_fill=card, block_background_fill_dark=card,
        block_border_color=line, block_border_color_dark=line,
        block_label_background_fill=card, block_label_background_fill_dark=card,
        block_label_text_color=soft, block_label_text_color_dark=soft,
        block_title_text_color=soft, block_title_text_color_dark=soft,
        body_background_fill="var(--ground)", body_background_fill_dark="var(--ground)",
        body_text_color="var(--ink)", body_text_color_dark="var(--ink)",
    )  # fmt: skip


@asynccontextmanager
async def _emptied(app: FastAPI) -> AsyncIterator[None]:
    yield
    shutil.rmtree(_folder().name, ignore_errors=True)


def build(ask: Ask) -> gr.Blocks:
    """The page.

    Args:
        ask: from a picture file's bytes and the model's params to the row of its answer; raises
            UnmaskError with a sentence for the user.
    """
    _folder()
    with gr.Blocks(title="unmask", analytics_enabled=False, delete_cache=(SWEPT, KEPT)) as page:
        gr.HTML(_HEAD)
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=2, min_width=320):
                photo = gr.Image(
                    label="Photo", type="filepath", format="png", sources=["upload", "clipboard"],
                    height=340, buttons=[], elem_id="photo",
                    placeholder="Drop a photo here\nor click to choose one",
                )  # fmt: skip
                photo.preprocess = _path  # its own opens the file, and fails on what is no image
                restore = gr.Button("Restore", variant="primary", elem_id="restore")
                example = gr.Button("Try a face of nobody", elem_id="example")
                gr.HTML(_PRIVACY)
            with gr.Column(scale=3, min_width=320):
                said = gr.HTML(_EMPTY, elem_id="said")
                with gr.Column(visible=False, elem_id="answer") as answer:
                    slider = gr.ImageSlider(
                        label="Before and after", format="png", interactive=False,
                        buttons=["fullscreen"], max_height=560, elem_id="slider",
                    )  # fmt: skip
                    gr.HTML(_NOTE)
                    download = gr.DownloadButton("Download as PNG", elem_id="download")
        with gr.Column(visible=False, elem_id="more") as more:
            gr.HTML('<h2 class="part">What was found</h2>')
            with gr.Row():
                with gr.Column(scale=2, min_width=320):
                    found = gr.Image(
                        label="Region replaced and landmarks", format="webp", interactive=False,
                        buttons=["fullscreen"], elem_id="found",
                    )  # fmt: skip
                with gr.Column(scale=3, min_width=320):
                    table = gr.HTML(elem_id="faces")
                    with gr.Column(elem_id="what-if") as what_if:
                        gr.HTML(_ASK)
                        gender = gr.Radio(
                            [("As it seems", "auto"), ("Male", "male"), ("Female", "female")],
                            value="auto", label="Gender", elem_id="gender",
                        )  # fmt: skip
                        samples = gr.Slider(
                            0, MOST_SAMPLES, 0, step=1, label="Other plausible faces",
                            elem_id="samples",
                        )  # fmt: skip
                        seed = gr.Number(
                            0, label="Seed: another number, other faces", precision=0, minimum=0,
                            elem_id="seed",
                        )  # fmt: skip
            with gr.Column(visible=False, elem_id="plausible") as plausible:
                gr.HTML('<h2 class="part">As plausible</h2>')
                with gr.Row():
                    with gr.Column(scale=3, min_width=320):
                        gallery = gr.Gallery(
                            label="Other plausible faces", format="webp", columns=3,
                            object_fit="contain", height="auto", buttons=["fullscreen"],
                            elem_id="gallery",
                        )  # fmt: skip
                    with gr.Column(scale=2, min_width=320):
                        spread = gr.Image(
                            format="png", interactive=False, buttons=["fullscreen"],
                            elem_id="spread",
                        )  # fmt: skip

        def restored(path: str | None, gender: str, count: int, seed: int) -> Iterator[dict]:
            yield {said: _BUSY}
            try:
                name, raw = _read(path)
                params = {"gender": gender, "samples": int(count), "seed": int(seed or 0)}
                before = decode_picture(raw, name)
                row = ask(raw, params)
            except UnmaskError as error:
                yield {said: _alert(error), answer: gr.Column(visible=False),
                       more: gr.Column(visible=False)}  # fmt: skip
                return
            view = view_of(before, row)
            file = f"{Path(name).stem}-restored.png"
            png = save_bytes_to_cache(base64.b64decode(row["image"]), file, _folder().name)
            yield {
                said: _told(view),
                answer: gr.Column(visible=view.restored),
                more: gr.Column(visible=True),
                slider: (view.before, view.after),
                download: png,
                found: view.found,
                table: view.table,
                what_if: gr.Column(visible=view.restored),
                plausible: gr.Column(visible=view.restored and bool(view.samples)),
                gallery: view.samples,
                spread: gr.Image(
                    view.spread,
                    label=f"Where they differ (yellow: by {view.most:.1f} of 255)",
                    visible=view.spread is not None,
                ),
            }

        private = {"api_visibility": "private", "show_progress": "hidden"}
        gr.on(
            [restore.click, gender.input, samples.release, seed.submit],
            restored,
            [photo, gender, samples, seed],
            [said, answer, more, slider, download, found, table, what_if, plausible, gallery,
             spread],
            trigger_mode="always_last",
            **private,
        )  # fmt: skip
        photo.change(
            lambda: (_EMPTY, gr.Column(visible=False), gr.Column(visible=False), "auto", 0, 0),
            outputs=[said, answer, more, gender, samples, seed],
            **private,
        )
        example.click(_face_of_nobody, outputs=photo, **private)
    page.has_launched = True  # else gradio 6 takes any path on this machine for an upload
    return page


def _path(payload) -> str | None:
    return payload and payload.path


def _face_of_nobody() -> np.ndarray:
    return sample(random.randrange(2**31), 0, _EXAMPLE_SIDE, masked=True)


def _read(path: str | None) -> tuple[str, bytes]:
    """Name and bytes of the photo.

    Raises:
        PictureError: when there is none.
    """
    if path is None:
        raise PictureError("Choose a photo first, or try a face of nobody.")
    try:
        return Path(path).name, Path(path).read_bytes()
    except FileNotFoundError as error:
        raise PictureError("The photo is no longer kept: choose it again.") from error


def _alert(error: UnmaskError) -> str:
    return f'<p class="said error" role="alert">{escape(str(error))}</p>'


def _told(view: View) -> str:
    kind = "done" if view.restored else "unchanged"
    return f'<p class="said {kind}" role="status">{escape(view.sentence)}</p>'
