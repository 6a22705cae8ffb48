"""The viewer's server: it answers only requests with the token, and only about the slides it was started with."""

from __future__ import annotations

import base64
import io
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from PIL import Image

from sknic.exceptions import MissingDependencyError, SknicError
from sknic.viewer.neighbors import neighbors_of

_SCRIPTS = ("page", "pane", "state", "dom", "layers", "cell", "model", "picture", "openseadragon.min")
_ASSETS = {"page.css": "text/css", **{f"{name}.js": "text/javascript" for name in _SCRIPTS}}
_MAX_NEIGHBORS = 48
# Of nothing: page.html holds one empty style element.
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_HEADERS = {
    # The page runs its own scripts only, and the token in its address goes nowhere.
    "Content-Security-Policy": f"default-src 'none'; script-src 'self'; style-src 'self' {_EMPTY}; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def create_app(views: list, token: str) -> Any:
    """The viewer as a WSGI application.

    Every address begins with the token. Slides, grids and layers are named by number or by an identifier of this
    process; no request ever names a file.

    Parameters
    ----------
    views : list of SlideView
    token : str

    Returns
    -------
    flask.Flask

    Raises
    ------
    MissingDependencyError
        Without Flask.
    """
    try:
        from flask import Flask, Response, abort, jsonify, request
    except ImportError as error:
        raise MissingDependencyError("the viewer needs Flask: pip install 'sknic[viewer]'") from error

    app = Flask("sknic.viewer", static_folder=None, template_folder=None)
    # Layers are computed one at a time: models are not made for several threads.
    computing = threading.Lock()

    @app.before_request
    def know_the_token():
        given = request.path.split("/")[1]
        if not secrets.compare_digest(given.encode(), token.encode()):
            abort(403)

    @app.after_request
    def add_headers(response):
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.errorhandler(SknicError)
    @app.errorhandler(ValueError)
    def explain(error):
        return jsonify(error=str(error)), 422

    @app.get("/<token>/")
    def page(token):
        return Response(_asset("page.html"), mimetype="text/html")

    @app.get("/<token>/<name>")
    def asset(token, name):
        return Response(_asset(name), mimetype=_ASSETS[name]) if name in _ASSETS else abort(404)

    @app.get("/<token>/slides")
    def slides(token):
        return jsonify([view.describe() for view in views])

    @app.get("/<token>/slides/<int:number>/tiles/<int:level>/<int:column>/<int:row>")
    def tile(token, number, level, column, row):
        data = _item(views, number).tiles.jpeg(level, column, row)
        # Tiles alone stay what they are; a cell says more once a layer has been drawn.
        kept = {"Cache-Control": "private, max-age=3600"}
        return Response(data, mimetype="image/jpeg", headers=kept) if data else abort(404)

    @app.get("/<token>/slides/<int:number>/layers/<name>")
    def layer(token, number, name):
        chosen = _item(views, number).layers.get(name) or abort(404)
        choice = _label() if chosen.has_classes else request.args.get("feature", 0, int)
        if chosen.n_features and not 0 <= choice < chosen.n_features:
            abort(404)
        with computing:
            picture = chosen.picture(choice)
        legend = picture.legend and asdict(picture.legend)
        return jsonify(image=_png_uri(picture.pixels), place=picture.place, legend=legend)

    @app.get("/<token>/model")
    def model(token):
        with computing:
            return jsonify(views[0].model and views[0].model.describe())

    @app.get("/<token>/slides/<int:number>/grids/<int:grid>/prediction")
    def prediction(token, number, grid):
        frame = _item(_item(views, number).frames, grid)
        asked = views[number].model or abort(404)
        with computing:
            return jsonify(asked.predict(frame.grid))

    @app.get("/<token>/slides/<int:number>/grids/<int:grid>/cells/<int:row>/<int:column>")
    def cell(token, number, grid, row, column):
        view = _item(views, number)
        _item(view.frames, grid)
        feature = max(0, request.args.get("feature", 0, int))
        with computing:
            found = view.cell(grid, row, column, feature, _label())
        return jsonify(found) if found else abort(404)

    @app.get("/<token>/slides/<int:number>/grids/<int:grid>/cells/<int:row>/<int:column>/patch")
    def patch(token, number, grid, row, column):
        frame = _item(_item(views, number).frames, grid)
        if not (row < frame.grid.shape[0] and column < frame.grid.shape[1]):
            abort(404)
        data = _encoded(frame.patch(row, column), "JPEG")
        return Response(data, mimetype="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/<token>/slides/<int:number>/grids/<int:grid>/cells/<int:row>/<int:column>/neighbors")
    def neighbors(token, number, grid, row, column):
        _item(_item(views, number).frames, grid)
        n = min(max(1, request.args.get("n", 8, int)), _MAX_NEIGHBORS)
        with computing:
            found = neighbors_of(views, number, grid, row, column, n, others="others" in request.args)
        return abort(404) if found is None else jsonify(found)

    def _label():
        """Number of the class that was chosen; None for the predicted one."""
        label = request.args.get("class", None, int)
        if label is not None and not 0 <= label < len(views[0].model.choices if views[0].model else ()):
            abort(404)
        return label

    def _item(items, number):
        return items[number] if number < len(items) else abort(404)

    return app


def serve(views: list, *, host: str = "127.0.0.1", port: int = 0, ready: Callable | None = None) -> None:
    """Serve the viewer until interrupted.

    Parameters
    ----------
    views : list of SlideView
        From :func:`sknic.viewer.open_views`.
    host : str
        Address to listen on; the default can only be reached from this machine.
    port : int
        0 chooses a free one.
    ready : callable (url), optional
        Called when the address, token included, can be visited.

    Raises
    ------
    MissingDependencyError
        Without Flask.
    """
    token = secrets.token_urlsafe(16)
    app = create_app(views, token)
    from werkzeug.serving import WSGIRequestHandler, make_server

    class QuietHandler(WSGIRequestHandler):
        """Logs no requests: their addresses hold the token."""

        def log_request(self, code="-", size="-"):
            pass

    with make_server(host, port, app, threaded=True, request_handler=QuietHandler) as server:
        if ready is not None:
            name = f"[{host}]" if ":" in host else host
            ready(f"http://{name}:{server.port}/{token}/")
        server.serve_forever()


def _asset(name):
    return (files("sknic.viewer") / "assets" / name).read_bytes()


def _png_uri(pixels):
    return f"data:image/png;base64,{base64.b64encode(_encoded(pixels, 'PNG')).decode()}"


def _encoded(pixels, file_format):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()
