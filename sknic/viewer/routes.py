"""What the viewer answers, one function per address.

Slides, grids and layers are named by number or by an identifier of this process; no request ever names a file.
"""

import base64
import io
import threading
from dataclasses import asdict
from importlib.resources import files

from flask import Blueprint, Response, abort, current_app, jsonify, request
from PIL import Image

from sknic.exceptions import SknicError
from sknic.viewer.neighbors import neighbors_of

VIEWS = "SLIDE_VIEWS"  # where the application keeps them
routes = Blueprint("viewer", __name__, url_prefix="/<token>")
_SCRIPTS = ("page", "pane", "state", "dom", "layers", "cell", "model", "picture", "openseadragon.min")
_ASSETS = {"page.css": "text/css", **{f"{name}.js": "text/javascript" for name in _SCRIPTS}}
_MAX_NEIGHBORS = 48
# Layers are computed one at a time: models are not made for several threads.
_computing = threading.Lock()


@routes.url_value_preprocessor
def drop_the_token(endpoint, values):
    """The application has compared it already."""
    values.pop("token")


@routes.errorhandler(SknicError)
@routes.errorhandler(ValueError)
def explain(error):
    """An error in words that the page shows."""
    return jsonify(error=str(error)), 422


@routes.get("/")
def page():
    """The page itself."""
    return Response(_asset("page.html"), mimetype="text/html")


@routes.get("/<name>")
def asset(name):
    """A script or the style sheet of the page."""
    return Response(_asset(name), mimetype=_ASSETS[name]) if name in _ASSETS else abort(404)


@routes.get("/slides")
def slides():
    """What is known of each slide and its grids."""
    return jsonify([view.describe() for view in _views()])


@routes.get("/slides/<int:number>/tiles/<int:level>/<int:column>/<int:row>")
def tile(number, level, column, row):
    """One tile of a slide's pyramid."""
    data = _view(number).tiles.jpeg(level, column, row)
    return _jpeg(data) if data else abort(404)


@routes.get("/slides/<int:number>/layers/<name>")
def layer(number, name):
    """The picture of one layer with its place and its legend."""
    chosen = _view(number).layers.get(name) or abort(404)
    choice = _label() if chosen.has_classes else request.args.get("feature", 0, int)
    if chosen.n_features and not 0 <= choice < chosen.n_features:
        abort(404)
    with _computing:
        picture = chosen.picture(choice)
    legend = picture.legend and asdict(picture.legend)
    return jsonify(image=_png_uri(picture.pixels), place=picture.place, legend=legend)


@routes.get("/model")
def model():
    """What the model predicts; null without a model."""
    with _computing:
        return jsonify(_model() and _model().describe())


@routes.get("/slides/<int:number>/grids/<int:grid>/prediction")
def prediction(number, grid):
    """What the model predicts for one grid."""
    frame = _item(_view(number).frames, grid)
    asked = _view(number).model or abort(404)
    with _computing:
        return jsonify(asked.predict(frame.grid))


@routes.get("/slides/<int:number>/grids/<int:grid>/cells/<int:row>/<int:column>")
def cell(number, grid, row, column):
    """What is known of one cell."""
    view = _view(number)
    _item(view.frames, grid)
    feature = max(0, request.args.get("feature", 0, int))
    with _computing:
        found = view.cell(grid, row, column, feature, _label())
    return jsonify(found) if found else abort(404)


@routes.get("/slides/<int:number>/grids/<int:grid>/cells/<int:row>/<int:column>/patch")
def patch(number, grid, row, column):
    """The pixels of one cell."""
    frame = _item(_view(number).frames, grid)
    if not (row < frame.grid.shape[0] and column < frame.grid.shape[1]):
        abort(404)
    return _jpeg(_encoded(frame.patch(row, column), "JPEG"))


@routes.get("/slides/<int:number>/grids/<int:grid>/cells/<int:row>/<int:column>/neighbors")
def neighbors(number, grid, row, column):
    """The cells whose embeddings are nearest to that of one cell."""
    _item(_view(number).frames, grid)
    n = min(max(1, request.args.get("n", 8, int)), _MAX_NEIGHBORS)
    with _computing:
        found = neighbors_of(_views(), number, grid, row, column, n, others="others" in request.args)
    return abort(404) if found is None else jsonify(found)


def _views():
    return current_app.config[VIEWS]


def _view(number):
    return _item(_views(), number)


def _item(items, number):
    return items[number] if number < len(items) else abort(404)


def _model():
    return _views()[0].model


def _label():
    """Number of the class that was chosen; None for the predicted one."""
    label = request.args.get("class", None, int)
    if label is not None and not 0 <= label < len(_model().choices if _model() else ()):
        abort(404)
    return label


def _jpeg(data):
    # Pixels alone stay what they are; a cell says more once a layer has been drawn.
    return Response(data, mimetype="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _asset(name):
    return (files("sknic.viewer") / "assets" / name).read_bytes()


def _png_uri(pixels):
    return f"data:image/png;base64,{base64.b64encode(_encoded(pixels, 'PNG')).decode()}"


def _encoded(pixels, file_format):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()
