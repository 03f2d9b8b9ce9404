"""`leaderboard`: the upscalers in order, from everything that `run` has saved."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from cli.output import print_json, print_table


class Format(StrEnum):
    """How a leaderboard is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def leaderboard(
    run: Annotated[str | None, typer.Option(help="Only this run.", show_default="all runs")] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.TABLE,
    protocol: Annotated[str | None, typer.Option(help="Only this protocol: rgb, y or y-float.", show_default="all")] = None,
) -> None:
    """Rank upscalers by data set, scale and protocol; what was made under other conditions is never in one ranking."""
    # It imports SQLAlchemy, which the other commands need not wait for.
    from benchmark.presentation import rankings as written
    from benchmark.ranking.leaderboard import leaderboard as rank
    from benchmark.storage.store import Store
    from metrics import PROTOCOLS

    if protocol is not None:
        PROTOCOLS.get(protocol)
    with Store.open() as store:
        rankings = [each for each in rank(store, run) if protocol in (None, each.protocol)]
    match form:
        case Format.JSON:
            print_json(written.document(rankings))
        case Format.CSV:
            typer.echo(written.as_csv(rankings), nl=False)
        case Format.MARKDOWN:
            typer.echo(written.as_markdown(rankings), nl=False)
        case Format.LATEX:
            typer.echo(written.as_latex(rankings), nl=False)
        case Format.TABLE:
            for ranking in rankings:
                table = Table(*written.headings(ranking), title=written.title(ranking), title_justify="left", box=None, header_style="bold")
                for entry in ranking.entries:
                    table.add_row(*written.cells(entry, written.metrics_of(ranking)))
                print_table(table)
                for note in written.notes(ranking):
                    typer.echo(note)
                typer.echo()
    if not rankings:
        typer.echo("Nothing is saved yet: start with `upscale-bench run`.", err=True)
