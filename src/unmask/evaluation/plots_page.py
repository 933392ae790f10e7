"""The HTML template of `dvc plots show`, with its scripts bundled, so that it opens offline."""

from pathlib import Path

import vl_convert

# a module script runs after the page's plots have called vegaEmbed: the calls are queued for it
_SNIPPET = "waiting.forEach((call) => vegaEmbed(...call));"
_PAGE = """<!DOCTYPE html>
<html>
<head>
{refresh_tag}
<meta charset="utf-8">
<title>unmask: plots</title>
<script>const waiting = []; function vegaEmbed(...call) { waiting.push(call); }</script>
<script type="module">%s</script>
<style>body { font-family: sans-serif; margin: 2em; } img { max-width: 100%%; }</style>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def write_plots_page(path: Path) -> None:
    """Write DVC's HTML template with Vega, Vega-Lite and Vega-Embed bundled into it."""
    bundle = vl_convert.javascript_bundle(_SNIPPET).replace("</script", "<\\/script")
    path.write_text(_PAGE % bundle)
