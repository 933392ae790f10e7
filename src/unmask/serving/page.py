"""The web page: upload a photo, see the restored face, and how certain it is."""

import base64
import json
import mimetypes
import random
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any, Literal, TypedDict

import gradio as gr
from fastapi import FastAPI
from gradio.data_classes import ImageData
from starlette.middleware import Middleware

from unmask.errors import UnmaskError
from unmask.inference.image_file import SAME, media_type_of
from unmask.inference.pictures import decode_picture
from unmask.inference.results import PictureError
from unmask.masking.samples import sample
from unmask.serving import theme, uploads
from unmask.serving.page_requests import PageRequests
from unmask.serving.view import View, view_of

#: From a picture file's bytes and the model's params to the row of the model's answer; raises
#: UnmaskError with a sentence for the user.
RestoreFunction = Callable[[bytes, dict], dict]

LARGEST_FILE = 40_000_000  # bytes
MOST_SAMPLES = 6
QUEUE = 20  # restorations that may wait, which run one by one
_EXAMPLE_SIDE = 256  # pixels
_FORM = 10_000  # bytes around the file of an upload
_FORMATS = [("The photo's own", SAME), ("PNG", "png"), ("JPEG", "jpeg"), ("WebP", "webp")]
_HIDDEN = {"__type__": "update", "visible": False}
_NO_CHOICE = _HIDDEN | {"choices": [], "value": []}
_ANEW = f"() => {json.dumps([theme.EMPTY, _HIDDEN, _HIDDEN, _NO_CHOICE, 'auto', 0, 0])}"


class _EventOptions(TypedDict):
    api_visibility: Literal["private"]
    show_progress: Literal["hidden"]


class _QueueOptions(TypedDict):
    trigger_mode: Literal["always_last"]
    concurrency_id: str


def mount(app: FastAPI, restore_photo: RestoreFunction, path: str = "/") -> FastAPI:
    """Mount the page on a server, with its theme and limits and without a history of runs.

    Args:
        app: the server.
        restore_photo: answers the page's requests; called in a thread.
        path: of the page's URL.

    Returns:
        The server.
    """
    return gr.mount_gradio_app(
        app,
        build_page(restore_photo),
        path,
        app_kwargs={
            "lifespan": uploads.deleting_uploads,
            "middleware": [Middleware(PageRequests, uploads.kept_bytes, LARGEST_FILE + _FORM)],
        },
        css_paths=theme.STYLES,
        theme=theme.theme(),
        footer_links=[],
        run_history=False,
        max_file_size=LARGEST_FILE,
    )


def build_page(restore_photo: RestoreFunction) -> gr.Blocks:
    """Build the page; its uploads are only deleted where it is mounted by `mount`."""
    uploads.upload_folder()
    with gr.Blocks(title="unmask", analytics_enabled=False) as page:
        gr.HTML(theme.HEAD)
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=2, min_width=320):
                photo = gr.Image(
                    label="Photo", type="filepath", format="png", sources=["upload", "clipboard"],
                    height=340, buttons=[], elem_id="photo",
                    placeholder="Drop a photo here\nor click to choose one",
                )  # fmt: skip
                # gradio's own opens the file, and fails on one that is no image
                photo.preprocess = _path  # type: ignore[method-assign]
                restore = gr.Button("Restore", variant="primary", elem_id="restore")
                example = gr.Button("Try a synthetic face", elem_id="example")
                gr.HTML(theme.PRIVACY)
            with gr.Column(scale=3, min_width=320):
                message = gr.HTML(theme.EMPTY, elem_id="said")
                with gr.Column(visible=False, elem_id="answer") as answer:
                    slider = gr.ImageSlider(
                        label="Before and after", interactive=False,
                        buttons=["fullscreen"], max_height=560, elem_id="slider",
                    )  # fmt: skip
                    gr.HTML(theme.NOTE)
                    with gr.Row(elem_id="take"):
                        format_ = gr.Dropdown(
                            _FORMATS, value=SAME, label="Format", filterable=False, elem_id="format"
                        )
                        download = gr.DownloadButton("Download", elem_id="download")
        with gr.Column(visible=False, elem_id="more") as more:
            gr.HTML('<h2 class="part">What was found</h2>')
            with gr.Row():
                with gr.Column(scale=2, min_width=320):
                    found = gr.Image(
                        label="Region replaced and landmarks", interactive=False,
                        buttons=["fullscreen"], elem_id="found",
                        alt_text="The photo with the replaced region and each face's landmarks",
                    )  # fmt: skip
                with gr.Column(scale=3, min_width=320):
                    table = gr.HTML(elem_id="faces")
                    chosen = gr.CheckboxGroup(
                        [], label="Restore these faces", visible=False, elem_id="chosen"
                    )
                    with gr.Column(elem_id="what-if") as what_if:
                        gr.HTML(theme.WHAT_IF)
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
                            maximum=2**31 - 1, elem_id="seed",
                        )  # fmt: skip
            with gr.Column(visible=False, elem_id="plausible") as plausible:
                gr.HTML('<h2 class="part">As plausible</h2>')
                with gr.Row():
                    with gr.Column(scale=3, min_width=320):
                        gallery = gr.Gallery(
                            label="Other plausible faces", columns=3,
                            object_fit="contain", height="auto", buttons=["fullscreen"],
                            elem_id="gallery",
                        )  # fmt: skip
                    with gr.Column(scale=2, min_width=320):
                        spread = gr.Image(
                            interactive=False, buttons=["fullscreen"], elem_id="spread",
                        )  # fmt: skip

        def restored(
            path: str | None, gender: str, count: int, seed: int, kind: str, faces: list[int]
        ) -> Iterator[dict]:
            yield {message: theme.BUSY}
            try:
                name, raw = _read(path)
                params = {"gender": gender, "samples": int(count), "seed": int(seed or 0)}
                params |= {"format": kind, "faces": ",".join(map(str, faces)) or "all"}
                before = decode_picture(raw, name)
                row = restore_photo(raw, params)
            except UnmaskError as error:
                yield {message: _error_html(error), answer: gr.Column(visible=False),
                       more: gr.Column(visible=False)}  # fmt: skip
                return
            view, picture = view_of(before, row), base64.b64decode(row["image"])
            ending = mimetypes.guess_extension(media_type_of(picture)) or ""
            yield {
                message: _result_html(view),
                answer: gr.Column(visible=view.restored),
                more: gr.Column(visible=True),
                slider: tuple(
                    uploads.keep(side, "shown.png") for side in (view.before, view.after)
                ),
                download: uploads.keep(picture, f"{Path(name).stem}.restored{ending}"),
                found: uploads.keep(view.found, "found.webp"),
                table: view.table,
                chosen: gr.skip() if faces else _choice_of(row["faces"]),
                what_if: gr.Column(visible=view.restored),
                plausible: gr.Column(visible=view.restored and bool(view.samples)),
                gallery: [uploads.keep(drawn, "plausible.webp") for drawn in view.samples],
                spread: gr.Image(visible=False)
                if view.spread is None
                else gr.Image(
                    uploads.keep(view.spread, "spread.png"),
                    visible=True,
                    label=f"Uncertainty: where they differ (yellow: by {view.most:.1f} of 255)",
                ),
            }

        def restored_as_chosen(*asked: Any) -> Iterator[dict]:
            if asked[-1]:
                yield from restored(*asked)
            else:
                yield {message: _error_html(UnmaskError("Choose one face or more."))}

        private: _EventOptions = {"api_visibility": "private", "show_progress": "hidden"}
        one_by_one: _QueueOptions = {"trigger_mode": "always_last", "concurrency_id": "restore"}
        asked = [photo, gender, samples, seed, format_, chosen]
        for component in asked:
            # gradio's own also fetches what a request names by its URL, whatever the component
            component.async_move_resource_to_block_cache = _uploaded  # type: ignore
        answered = [message, answer, more, slider, download, found, table, chosen, what_if,
                    plausible, gallery, spread]  # fmt: skip
        # are shown with the first answer
        changes = [gender.input, samples.input, seed.input, format_.input, chosen.input]
        asking = [
            restore.click(restored, asked, answered, **one_by_one, **private),
            gr.on(changes, restored_as_chosen, asked, answered, **one_by_one, **private),
        ]
        # else the photo before is answered after this one was chosen
        photo.change(None, cancels=asking, **private)
        # in the browser: an answer of the server's could come after the next restoration's
        photo.change(
            None,
            outputs=[message, answer, more, chosen, gender, samples, seed],
            js=_ANEW,
            **private,
        )
        example.click(_synthetic_face, outputs=photo, **private)
    page.queue(max_size=QUEUE, api_open=False)
    page.has_launched = True  # else gradio 6 accepts any path on this machine as an upload
    return page


def _choice_of(faces: list[dict]) -> gr.CheckboxGroup:
    """The faces that were restored, all chosen; hidden where there is but one."""
    numbers = [number for number, face in enumerate(faces, 1) if face["status"] == "restored"]
    choices = [(f"Face {number}", number) for number in numbers]
    return gr.CheckboxGroup(choices, value=numbers, visible=len(numbers) > 1)


def _path(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


async def _uploaded(path: str | Path | None) -> str | None:
    """The path of an upload; gradio has checked that it is one, but for URLs.

    Raises:
        PictureError: when it is none.
    """
    if path is not None and not Path(path).is_relative_to(uploads.upload_folder()):
        raise PictureError("The photo was not uploaded: choose it again.")
    return None if path is None else str(path)


def _synthetic_face() -> str:
    face = sample(random.randrange(2**31), 0, _EXAMPLE_SIDE, masked=True)
    return uploads.keep(face, "synthetic.png")


def _read(path: str | None) -> tuple[str, bytes]:
    """Name and bytes of the photo.

    Raises:
        PictureError: when there is none.
    """
    if path is None:
        raise PictureError("Choose a photo first, or try a synthetic face.")
    try:
        return Path(path).name, Path(path).read_bytes()
    except FileNotFoundError as error:
        raise PictureError("The photo is no longer kept: choose it again.") from error


def _error_html(error: UnmaskError) -> str:
    return f'<p class="said error" role="alert">{escape(str(error))}</p>'


def _result_html(view: View) -> str:
    kind = "done" if view.restored else "unchanged"
    return f'<p class="said {kind}" role="status">{escape(view.sentence)}</p>'
