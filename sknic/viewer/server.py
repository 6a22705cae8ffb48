"""The viewer's server: it answers only requests with the token, and only about the slides it was started with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from sknic.exceptions import MissingDependencyError

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

    Every address begins with the token.

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
        from flask import Flask, abort, request
    except ImportError as error:
        raise MissingDependencyError("the viewer needs Flask: pip install 'sknic[viewer]'") from error
    from sknic.viewer.routes import VIEWS, routes

    app = Flask("sknic.viewer", static_folder=None, template_folder=None)
    app.config[VIEWS] = views

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

    app.register_blueprint(routes)
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
