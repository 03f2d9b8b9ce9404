"""`upscale-bench`: the command line. Results go to standard output, progress and errors to standard error."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from cli import catalogue, claiming, comparing, models, preparing, ranking, running, tile_audit, verifying, weights
from cli.address import LOCALHOST, SHARED, check_address
from cli.output import make_folder
from core.addresses import is_own
from core.errors import AppError
from core.settings import settings

ROOT = Path(__file__).resolve().parent.parent

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="Compare image upscalers on your own pictures."
)
app.command("upscalers")(catalogue.list_upscalers)
app.command()(comparing.compare)
app.command()(comparing.upscale)
app.command("prepare")(preparing.prepare_upscalers)
app.command()(tile_audit.tile_audit)
app.command()(running.run)
app.command()(ranking.leaderboard)
app.command()(claiming.claims)
app.command()(verifying.verify)

weights_app = typer.Typer(no_args_is_help=True, help="The weight files of the upscalers.")
weights_app.command("list")(weights.list_weights)
weights_app.command("fetch")(weights.fetch_weights)
app.add_typer(weights_app, name="weights")

models_app = typer.Typer(no_args_is_help=True, help="One upscaler at a time.")
models_app.command("add")(models.add_model)
models_app.command("show")(models.show_model)
models_app.command("remove")(models.remove_model)
app.add_typer(models_app, name="models")


@app.command("app")
def serve(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 serves everybody who can reach this machine.")] = LOCALHOST,
) -> None:
    """Serve the web app: on this machine alone, unless --host says otherwise."""
    make_folder(settings().home)
    check_address(host, port)
    if not is_own(host):
        typer.echo(SHARED, err=True)
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "streamlit_app.py"),
        "--server.address",
        host,
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    environment = {"MALLOC_ARENA_MAX": "2", **os.environ}
    raise typer.Exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def main() -> NoReturn:
    """Entry point. Exit codes: 0 done, 1 some rows failed, 2 bad input or usage, 130 and 143 stopped."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(standalone_mode=False)
    except AppError as error:
        typer.echo(str(error), err=True)
        code = 2
    except TyperException as error:
        # Typer keeps the class that has this method to itself.
        text = str(getattr(error, "format_message", error.__str__)())
        typer.echo(" ".join(text.split()), err=True)
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
