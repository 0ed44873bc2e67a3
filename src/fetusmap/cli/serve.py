"""`fetusmap serve`: see, correct and predict cases in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from fetusmap.cli.console import out, warn
from fetusmap.dataset import is_dataset
from fetusmap.errors import BadInput
from fetusmap.files import read_rows, safe_name
from fetusmap.refine import refinement_named
from fetusmap.scale import PredictionSettings, folders_of_cases

try:
    from fetusmap.serve import (
        MIN_TOKEN_CHARACTERS,
        Access,
        Application,
        Workspace,
        create_app,
        open_socket,
        run_server,
    )
except ModuleNotFoundError as error:
    if error.name not in ("fastapi", "uvicorn", "starlette", "jinja2", "h11"):
        raise
    raise BadInput(
        "fetusmap serve",
        expected="the packages of the extra [serve]",
        found=f"no {error.name}",
        remedy="install them with: pip install 'fetusmap[serve]'",
    ) from error

TOKEN_VARIABLE = "FETUSMAP_TOKEN"  # noqa: S105 - the name of a variable

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap serve results\n\n  fetusmap serve DATASET\n\n  fetusmap serve "
    "FOLDER_OF_VOLUMES -o results"
)
def serve(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULTS|DATASET|VOLUMES...]",
            help="A folder that `predict` wrote, a dataset, or volumes; without any, an empty "
            "folder for uploads.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the results of volumes and uploads."),
    ] = None,
    order: Annotated[
        Path | None,
        typer.Option("--list", help="CSV with a column case: the order of the work list."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser.")
    ] = True,
    public: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Answer other computers, too, which reach this one under this name or address.",
        ),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar=TOKEN_VARIABLE, show_envvar=True, help="The token; by default a random one."
        ),
    ] = "",
    model: Annotated[
        str, typer.Option(metavar="NAME|FOLDER", help="Model for predictions.")
    ] = "default",
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")
    ] = "auto",
    refine: Annotated[
        str, typer.Option(metavar="none|fast|test-time-training", help="As in `predict`.")
    ] = "none",
) -> int:
    """See, correct and predict cases in a browser, on this computer.

    Corrections are kept beside the predictions. Nobody else can reach the server, unless --public
    says so. Stop it with Ctrl-C; everything is saved at every moment.
    """
    _check_public(public, token)
    root, volumes = _root_of(inputs or [], output)
    workspace = Workspace(root, volumes, None if order is None else _names_in(order))
    for sentence in workspace.notes:
        warn(sentence)
    settings = PredictionSettings(model=model, device=device, refine=refinement_named(refine))
    listening = open_socket("0.0.0.0" if public else "127.0.0.1", port)  # noqa: S104 - asked for
    number = int(listening.getsockname()[1])
    access = Access.on_port(number, token, public)
    address = f"http://{public or '127.0.0.1'}:{number}/?token={access.token}"

    def announce() -> None:
        out.print(f"{len(workspace.names())} cases of {root}")
        out.print(f"open {address}")
        out.print("stop with Ctrl-C")
        if browser:
            webbrowser.open(address)

    run_server(create_app(Application(workspace, settings), access), listening, when_ready=announce)
    return 0


def _check_public(public: str, token: str) -> None:
    if token and len(token) < MIN_TOKEN_CHARACTERS:
        raise BadInput(
            "--token",
            expected=f"at least {MIN_TOKEN_CHARACTERS} characters",
            found=f"{len(token)}",
            remedy="leave it out for a random one",
        )
    if public and not token:
        raise BadInput(
            "--public",
            expected=f"a token of your own, in --token or {TOKEN_VARIABLE}",
            found="none",
            remedy="choose a long one, and give it only to those who may see the data",
        )
    if public:
        warn(
            "other computers can reach this server; whoever has the token can see and change all "
            "cases, and nothing is encrypted on the way. Use it only in a network that you trust, "
            "or behind a proxy with TLS"
        )


def _root_of(inputs: list[Path], output: Path | None) -> tuple[Path, list[Path]]:
    """Return the folder to serve, and the volumes to predict into it."""
    if len(inputs) == 1 and _is_served_as_it_is(inputs[0]):
        if output is not None:
            raise BadInput(
                "--output",
                expected="volumes with it",
                found=f"{inputs[0]}, which is served as it is",
                remedy="leave --output out",
            )
        return inputs[0], []
    if output is None:
        raise BadInput(
            "--output",
            expected="a folder for the results of the volumes" if inputs else "a folder to serve",
            found="none",
            remedy="give -o FOLDER",
        )
    return output, inputs


def _is_served_as_it_is(path: Path) -> bool:
    """Whether a path is a dataset or a folder of results."""
    if not path.is_dir():
        return False
    return is_dataset(path) or any(True for _ in folders_of_cases(path))


def _names_in(table: Path) -> list[str]:
    """Return the cases of a table, in its order."""
    return [safe_name(row["case"].strip()) for row in read_rows(table, ["case"])]
