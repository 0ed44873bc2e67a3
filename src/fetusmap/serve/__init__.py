"""The web application: browse, view, correct and predict cases; REST API; loopback by default."""

from fetusmap.serve.app import create_app
from fetusmap.serve.application import Application
from fetusmap.serve.limits import ServeLimits
from fetusmap.serve.security import MIN_TOKEN_CHARACTERS, Access
from fetusmap.serve.server import open_socket, run_server
from fetusmap.serve.workspace import Workspace

__all__ = [
    "MIN_TOKEN_CHARACTERS",
    "Access",
    "Application",
    "ServeLimits",
    "Workspace",
    "create_app",
    "open_socket",
    "run_server",
]
