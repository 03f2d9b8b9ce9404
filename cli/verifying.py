"""`verify`: does the store agree with the files?"""

from dataclasses import asdict

import typer

from cli.output import AsJson, print_json
from core.errors import StoreError


def verify(as_json: AsJson = False) -> None:
    """Check that all saved results and pictures are there and as they were saved. Nothing is changed. Exit code 1: something is wrong."""
    from benchmark.storage.store import Store
    from benchmark.storage.verify import verify as look

    try:
        with Store.open() as store:
            report = look(store)
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    counted = {"runs": report.runs, "results": report.results, "pictures": report.pictures, "comparisons": report.comparisons}
    if as_json:
        print_json({"schema": 1, **counted, "problems": [asdict(problem) for problem in report.problems]})
    else:
        for problem in report.problems:
            typer.echo(f"{problem.kind}: {problem.place}: {problem.text}")
        looked = ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in counted.items())
        typer.echo(f"{looked}: {len(report.problems) or 'no'} problem{'s' if len(report.problems) != 1 else ''}")
    if report.problems:
        raise typer.Exit(1)
