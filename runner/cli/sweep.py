"""`tron sweep`: delete what is over, join small archive objects, and show the buckets' rules beside the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import typer

from runner.cli.context import Context, console
from runner.errors import ConfigError, StoreUnavailable
from runner.logging.bucket_rules import in_words
from runner.logging.lifecycle_manager import CleanupReport, CompactionReport, LogLifecycleManager, OptimizationReport


def sweep(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long; the next sweep goes on.")] = None,
    apply_rules: Annotated[bool, typer.Option("--apply-rules", help="Give buckets the table's rules.")] = False,
    actor: Annotated[str, typer.Option(help="Who changes the rules; it is kept on record.")] = "",
) -> None:
    """Delete what the retention table says is over, and join the small archive objects of days that are over."""
    if apply_rules and not actor.strip():
        raise ConfigError("a change of the buckets' rules needs an actor", "say who decides it: --actor NAME")
    if apply_rules and dry_run:
        raise ConfigError("--dry-run changes nothing, --apply-rules does", "leave one of them out")
    parent: Context = context.obj
    settings = parent.settings()
    if not settings.stores.archive:
        parent.existing_home(settings)
    with LogLifecycleManager(settings) as manager:
        cleaned = manager.run_daily_cleanup(deadline_seconds=seconds, dry_run=dry_run)
        compacted = manager.compact_archive(deadline_seconds=seconds, dry_run=dry_run)
        rules = manager.compare_rules(apply=apply_rules, actor=actor)
    if as_json:
        print(json.dumps(describe(cleaned, compacted, rules)))
    else:
        for line in (*_in_words(cleaned, compacted), *_rules_in_words(rules)):
            console().print(line, soft_wrap=True, markup=False)
    failed = [*cleaned.failed, *compacted.failed, *rules.failed]
    if failed:
        raise StoreUnavailable(failed[0], "what could be done is done; sweep again when this is repaired")


def describe(cleaned: CleanupReport, compacted: CompactionReport, rules: OptimizationReport) -> dict[str, object]:
    return {
        "cleanup": cleaned.as_dict(),
        "compaction": compacted.as_dict(),
        "rules": {name: value for name, value in rules.as_dict().items() if name != "compaction"},
        "done": cleaned.done and compacted.done and rules.done,
    }


def _in_words(cleaned: CleanupReport, compacted: CompactionReport) -> Iterator[str]:
    verb, join = ("would delete", "would join") if cleaned.dry_run else ("deleted", "joined")
    yield (
        f"sweep: {verb} {cleaned.documents:,} expired documents, {cleaned.objects:,} archive objects that are over, "
        f"{cleaned.versions:,} old versions, {cleaned.runs:,} runs and {cleaned.segments:,} segments of the journal"
    )
    yield (
        f"compaction: {join} {compacted.parts:,} archive objects into {compacted.objects:,} ({compacted.bytes:,} bytes)"
    )
    yield from (f"left alone: {problem}" for problem in (*cleaned.problems, *compacted.problems))
    yield from (f"not finished: {rest} (sweep again)" for rest in (*cleaned.left, *compacted.left))


def _rules_in_words(rules: OptimizationReport) -> Iterator[str]:
    """What the store itself carries out; a folder's rules are the sweep."""
    told = [one for one in rules.buckets if rules.applied or (one.actual is not None and one.actual.enforced)]
    yield from (f"rules: {line}" for line in in_words(told))
    yield from (f"rules: {problem}" for one in told for problem in one.problems)
