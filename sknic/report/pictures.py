"""Pictures as data URIs, so that they are embedded in the page."""

import base64
import io

import matplotlib as mpl
from PIL import Image

_KINDS = {"svg": "image/svg+xml", "jpeg": "image/jpeg"}


def figure_uri(figure):
    """SVG of a matplotlib figure, of an axes' figure, or of a display's `figure_`."""
    figure = getattr(figure, "figure_", None) or figure
    figure = getattr(figure, "figure", None) or figure
    file = io.BytesIO()
    # The same chart gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "sknic"}):
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    return _uri(file.getvalue(), "svg")


def image_uri(image):
    """JPEG of a picture, uint8 (height, width, 3)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return _uri(file.getvalue(), "jpeg")


def _uri(data, kind):
    return f"data:{_KINDS[kind]};base64,{base64.b64encode(data).decode()}"
