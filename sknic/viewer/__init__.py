"""A slide viewer in the browser: deep zoom, with what sknic computed laid over the pixels."""

from sknic.viewer.server import create_app, serve
from sknic.viewer.slide_view import SlideView, open_views

__all__ = ["SlideView", "create_app", "open_views", "serve"]
