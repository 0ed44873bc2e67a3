"""The `fetusmap` command: finds the subcommand, prints errors in one line, chooses exit codes.

Exit codes: 0 done; 1 some cases failed and the rest is done; 2 bad usage or unreadable input.
A subcommand's module is imported when it is called, so that `fetusmap --help` is instant.
"""

from __future__ import annotations

import gc
import signal
import sys
import traceback
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
import typer.core

from fetusmap._version import __version__
from fetusmap.errors import FetusmapError, one_line

# Name: (module with a Typer app of one command or more, line for the overview).
COMMANDS = {
    "predict": ("fetusmap.cli.predict", "Estimate the pose of the fetus in each volume."),
    "serve": ("fetusmap.cli.serve", "See, correct and predict cases in a browser."),
    "train": ("fetusmap.cli.train", "Train the networks that `predict` uses."),
    "evaluate": ("fetusmap.cli.evaluate", "Measure how good predictions are, and compare them."),
    "experiment": ("fetusmap.cli.experiment", "Run the paper's experiment: tables and figures."),
    "info": (
        "fetusmap.cli.info",
        "Describe a file: its kind, its geometry, and its faults.",
    ),
    "convert": ("fetusmap.cli.convert", "Convert volumes, poses, and folders of annotated cases."),
    "simulate": ("fetusmap.cli.simulate", "Simulate volumes of fetuses with exact landmarks."),
    "library": ("fetusmap.cli.library", "Build pose libraries, and show what is in them."),
    "doctor": ("fetusmap.cli.doctor", "Check that this installation works."),
}
DEBUG = "--debug"
INTERRUPTED = 130  # what Typer makes of Ctrl-C
TERMINATED = 143


class LazyGroup(typer.core.TyperGroup):
    """A group whose commands are imported when they are run, not when they are listed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the commands, in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; for the overview, one that has only its name and its line of help."""
        if cmd_name not in COMMANDS:
            return None
        module, line = COMMANDS[cmd_name]
        if ctx.meta.get("overview"):
            return typer.core.TyperCommand(cmd_name, help=line)
        command = typer.main.get_command(_import_quickly(module).app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the overview."""
        ctx.meta["overview"] = True
        super().format_help(ctx, formatter)


def _import_quickly(module: str) -> Any:
    """Import a module without garbage collection.

    Imports leave no garbage, but a tenth of their time would be spent looking for it. What they
    made stays as long as the process, so later collections need not look at it either.
    """
    gc.disable()
    imported = import_module(module)
    gc.freeze()
    gc.enable()
    return imported


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    epilog="An error is printed in one line; add --debug anywhere to see the traceback.",
)


def print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"fetusmap {__version__}")
        raise typer.Exit


@app.callback()
def fetusmap(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Estimate the 3D pose of a fetus from a volume. Research software, no medical device."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command line and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    words = [word for word in words if word != DEBUG]
    # Schedulers and containers end programs this way: temporary files must still be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name must never stop a command
    sys.exit(run(words, debug=debug))


def run(words: list[str], *, debug: bool = False) -> int:
    """Run a command line and return its exit code; errors become text only here."""
    try:
        result = app(words, prog_name="fetusmap", standalone_mode=False)
    except FetusmapError as error:
        return _complain(str(error), debug)
    except MemoryError:
        return _complain("not enough memory; close other programs or use a smaller volume", debug)
    except OSError as error:
        return _complain(f"{error.filename or 'output'}: {error.strerror or error}", debug)
    except Exception as error:
        if hasattr(error, "format_message"):  # how Typer says that a command line is wrong
            context = getattr(error, "ctx", None)
            known = words[0] if words and words[0] in COMMANDS else ""
            command = context.command_path if context else f"fetusmap {known}".rstrip()
            message = error.format_message()  # empty when the help itself was the answer
            return _complain(f"{message} See '{command} --help'.", debug) if message else 2
        what = f"{type(error).__name__}: {error}"
        return _complain(
            f"internal error, please report it with the output of --debug: {what}", debug
        )
    if result == INTERRUPTED:
        _complain("stopped; all finished work is saved", debug)
    return result if isinstance(result, int) else 0


def _complain(message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"fetusmap: {one_line(message)}", file=sys.stderr)  # noqa: T201
    return 2
