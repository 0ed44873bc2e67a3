"""Pages that open from disk: one file each, without network, and only its own script may run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fetusmap._version import __version__
from fetusmap.errors import ResourceError

NOTICE = (
    "Research software, not a medical device: it must not guide the care of a patient. Trained on "
    "simulated volumes only; the accuracy on real volumes is not known."
)


def render_page(template: str, script: str, *, images: str = "data:", **facts: Any) -> str:
    """Render a page with its style and script in it.

    The content security policy of the page names the hashes of both, forbids everything else, and
    so keeps any script in the facts from running; jinja2 escapes the facts besides.

    Args:
        template: name of the template.
        script: name of the script in the bundle.
        images: where images may come from, in the words of the policy.
        **facts: what the template writes.

    Raises:
        ResourceError: the package was installed without its bundle for browsers.
    """
    style, code = bundled("page.css"), bundled(script)
    policy = (
        f"default-src 'none'; script-src '{_hash_of(code)}'; style-src '{_hash_of(style)}'; "
        f"img-src {images}; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own build, without "</"
            script=Markup(code),  # noqa: S704
            licences=bundled("third-party.txt"),
            notice=NOTICE,
            version=__version__,
            **facts,
        )
    )


def check_bundle() -> None:
    """Check that the package was installed with what its pages need; see `bundled`."""
    bundled("case.js")


@cache
def bundled(name: str) -> str:
    """Return a text file of the bundle, which is built from `web/` when the package is installed.

    Raises:
        ResourceError: the package was installed without it.
    """
    path = resources.files("fetusmap.report") / "bundle" / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise ResourceError(
            "pages",
            expected=f"the file {name} of the pages for browsers in the package",
            found="none, because the package was not built",
            remedy="install the package again with pip, or leave the pages out with --no-pages",
        ) from None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fetusmap.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    return environment


@cache
def _hash_of(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
