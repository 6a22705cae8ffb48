"""How objects are displayed in a notebook: a picture and a short table."""

import base64
import html
import io

from PIL import Image


def card(title, rows, pixels=None, width=256):
    """HTML with a title, a table and optionally a picture.

    Parameters
    ----------
    title : str
        First line.
    rows : dict of str to object
        Name and value of each row; None is left out.
    pixels : uint8 array (height, width, 3), default=None
        The picture.
    width : int, default=256
        Longer side at which it is shown, px.

    Returns
    -------
    str
        HTML without scripts; all texts are escaped.
    """
    cells = "".join(
        f"<tr><td style='text-align:left'>{_text(name)}</td><td style='text-align:left'>{_text(value)}</td></tr>"
        for name, value in rows.items()
        if value is not None
    )
    picture = "" if pixels is None else f"<div>{_picture(pixels, width)}</div>"
    return (
        f"<div style='display:flex;gap:1em;align-items:flex-start'>{picture}"
        f"<div><b>{_text(title)}</b><table>{cells}</table></div></div>"
    )


def _text(value):
    return html.escape(str(value))


def _picture(pixels, width):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    side = "width" if pixels.shape[1] >= pixels.shape[0] else "height"
    data = base64.b64encode(file.getvalue()).decode()
    return f"<img style='{side}:{width}px;image-rendering:pixelated' src='data:image/png;base64,{data}'>"
