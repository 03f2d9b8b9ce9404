"""`claims`: published numbers against measured ones."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from benchmark.ranking.claims import Verdict


def claims(
    run: Annotated[str | None, typer.Option(help="Only what this run measured.", show_default="all runs")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold published scores against measured ones: reproduced, not reproduced, or not measurable here, and why."""
    # It imports SQLAlchemy, which the other commands need not wait for.
    from benchmark.presentation.claims import document, numbers
    from benchmark.ranking.claim_evidence import evidence
    from benchmark.ranking.claims import judge, others, published
    from benchmark.ranking.leaderboard import leaderboard
    from benchmark.storage.store import Store

    with Store.open() as store:
        verdicts = judge(published(), evidence(leaderboard(store, run)), others())
    if as_json:
        print_json(document(verdicts))
        return
    table = Table(
        "system", "data set", "scale", "score", "protocol", "claimed", "measured", "difference", "verdict", box=None, header_style="bold"
    )
    for verdict in verdicts:
        claim = verdict.claim
        doubt = " (suspicious)" if verdict.suspicions else ""
        table.add_row(claim.system, claim.dataset, f"x{claim.scale}", *numbers(verdict), claim.protocol, f"{verdict.status}{doubt}")
    print_table(table)
    for heading, lines in (("Not measurable here", _reasons(verdicts)), ("Suspicious", _doubts(verdicts))):
        if lines:
            typer.echo("\n".join([f"\n{heading}:", *(f"  {line}" for line in lines)]))
    counts = Counter(verdict.status for verdict in verdicts)
    typer.echo("\n" + ", ".join(f"{count} {status}" for status, count in counts.items()))


def _reasons(verdicts: "Sequence[Verdict]") -> list[str]:
    """A line for each system and reason."""
    counts = Counter((verdict.claim.system, verdict.reason) for verdict in verdicts if verdict.reason)
    return [f"{system} ({count}): {reason}" for (system, reason), count in counts.items()]


def _doubts(verdicts: "Sequence[Verdict]") -> list[str]:
    from benchmark.presentation.claims import numbers

    return [
        f"{each.claim.system} on {each.claim.dataset} x{each.claim.scale}, {' '.join(numbers(each)[:2])}: {'; '.join(each.suspicions)}"
        for each in verdicts
        if each.suspicions
    ]
