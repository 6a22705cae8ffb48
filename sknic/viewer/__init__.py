"""A slide viewer in the browser: deep zoom, overlaid with sknic's results."""

from sknic.viewer.server import create_app, serve
from sknic.viewer.slide_view import SlideView, open_views

__all__ = ["SlideView", "create_app", "open_views", "serve"]
