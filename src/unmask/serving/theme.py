"""The page's texts in HTML, its theme, and the stylesheet beside this file."""

from pathlib import Path

import gradio as gr

from unmask.serving.uploads import KEEP_SECONDS

STYLES = Path(__file__).with_name("page.css")
_FACE = """
<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.2" aria-hidden="true">
<path d="M12 18c0-9 5-14 12-14s12 5 12 14v8c0 9-5 17-12 17S12 35 12 26z"/>
<path d="M18 18h3m6 0h3" stroke-linecap="round"/>
<path d="M12 25c4 0 8-2.5 12-2.5s8 2.5 12 2.5v1c0 9-5 17-12 17S12 35 12 26z" fill="currentColor"
 fill-opacity=".3"/><path d="M12 26l-4-3m28 3l4-3" stroke-linecap="round"/></svg>"""
HEAD = f"""
<header class="masthead">{_FACE}<div><h1>unmask</h1>
<p>A plausible face where a photo shows a face mask</p></div></header>"""
NOTE = """
<p class="note"><b>What the mask hides is synthesised.</b> It is a plausible face, not the person's
own: do not use it to identify anyone.</p>"""
PRIVACY = f"""
<p class="quiet">A synthetic face is made up by this program. Your photos are not kept: this server
deletes them after {KEEP_SECONDS // 60} minutes.</p>"""
WHAT_IF = """
<div class="ask"><b>What if?</b><p class="quiet">The photo does not show what the mask hides.
Assume something else, or draw other faces that fit as well.</p></div>"""
EMPTY = f'<div class="said empty">{_FACE}<p>The restored picture will appear here.</p></div>'
BUSY = '<p class="said busy" role="status">Restoring …</p>'


def theme() -> gr.themes.Base:
    """Gradio's base theme, with the colours of the stylesheet's variables, light and dark."""
    font = gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700))  # the others lack letters
    base = gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=[font, "sans-serif"]
    )
    card, line, soft = "var(--card)", "var(--line)", "var(--soft)"
    return base.set(
        block_background_fill=card, block_background_fill_dark=card,
        block_border_color=line, block_border_color_dark=line,
        block_label_background_fill=card, block_label_background_fill_dark=card,
        block_label_text_color=soft, block_label_text_color_dark=soft,
        block_title_text_color=soft, block_title_text_color_dark=soft,
        body_background_fill="var(--ground)", body_background_fill_dark="var(--ground)",
        body_text_color="var(--ink)", body_text_color_dark="var(--ink)",
    )  # fmt: skip
