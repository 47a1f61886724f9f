"""`tron verify`: proof that nothing is missing, doubled or edited."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.console import Console

from runner.cli.context import Context, console
from runner.layout import Home
from runner.logging.audit import Auditor, AuditReport
from runner.settings import Settings
from runner.stores.open import open_archive

_EVERY = 0.2


def verify(
    context: typer.Context,
    archive_only: Annotated[bool, typer.Option(help="Without the journal of this home.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Prove that archive and journal hold every record once, unchanged and in order; else say what is wrong, where."""
    parent: Context = context.obj
    settings = parent.settings()
    home = None if archive_only else parent.existing_home(settings)
    report = audit(settings, home, console())
    if as_json:
        print(json.dumps(describe(report)))
    else:
        for line in in_words(report):
            print(line)
    if not report.complete:
        raise typer.Exit(1)


def audit(settings: Settings, home: Home | None, screen: Console) -> AuditReport:
    """Verify with progress on a terminal."""
    if not screen.is_terminal:
        return Auditor(open_archive(settings), home).verify()
    with screen.status("verifying") as status:
        shown = 0.0

        def tell(report: AuditReport) -> None:
            nonlocal shown
            if time.monotonic() - shown > _EVERY:
                shown = time.monotonic()
                status.update(f"verifying: {report.records:,} records in {report.objects:,} objects")

        return Auditor(open_archive(settings), home, tell).verify()


def in_words(report: AuditReport) -> list[str]:
    found = [str(finding) for finding in report.findings]
    extent = f"{report.records:,} records of {report.runs} runs, {report.objects:,} archive objects"
    if report.in_journal:
        extent += f", {report.in_journal:,} records in the journal only"
    if report.unsealed:
        extent += f"; not sealed yet: {len(report.unsealed)} of the runs"
    verdict = "complete" if report.complete else f"NOT complete, {len(found)} finding{'s' if len(found) > 1 else ''}"
    return [*found, f"verify: {verdict} ({extent})"]


def describe(report: AuditReport) -> dict[str, object]:
    return {
        "complete": report.complete,
        "runs": report.runs,
        "records": report.records,
        "objects": report.objects,
        "in_journal": report.in_journal,
        "unsealed": report.unsealed,
        "findings": [
            {"what": one.what, "run": one.run, "stream": one.stream, "offset": one.offset, "detail": one.detail}
            for one in report.findings
        ],
    }
