"""Cases set against each other: the fields that keep them from comparing, and their relative costs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.analysis.comparability import Keyed, matrix
from harness.analysis.cost import Share, relative_costs
from harness.analysis.limits import entries
from harness.report.cells import Column, change_of, computed, text, texts
from harness.report.page import Cell, Section, Table
from harness.report.sections.assemble_report import Runs

_MOST_CASES = 12


def comparability(columns: Mapping[str, Sequence[Column]], runs: Runs) -> Section:
    """Section with a row per field of the cases' keys: its values, and the effect of a difference (rule R26)."""
    return Section(
        name="comparability",
        title="What compares with what",
        text="Each effect is the judge's own: what it refuses to compare when this field alone differs.",
        tables=tuple(_comparability_table(suite, suite_columns, runs) for suite, suite_columns in columns.items()),
        detail=True,
    )


def _comparability_table(suite: str, columns: Sequence[Column], runs: Runs) -> Table:
    environments = {bundle.run.id: bundle.environment for bundle in runs.bundles}
    measured = [column for column in columns if column.record.metrics]
    keyed = [
        Keyed(name=column.name, key=column.record.key, environment=environments[column.run])
        for column in measured[:_MOST_CASES]
    ]
    fields = matrix(keyed) if len(keyed) > 1 else ()
    left_out = len(measured) - len(keyed)
    rows = [
        texts((field.field, "equal" if field.equal else "different", field.effect, *field.values)) for field in fields
    ]
    return Table(
        columns=("field", "", "effect", *(case.name for case in keyed)),
        rows=tuple(rows),
        notes=(f"{left_out} more cases are left out here",) if left_out > 0 else (),
        caption=f"{suite.capitalize()}, by field",
    )


def costs(runs: Runs) -> Section:
    """Section with the cost of each case relative to the cheapest of the cases it compares with (rule R19)."""
    several = len(runs.bundles) > 1
    tables = []
    measured = [bundle for bundle in runs.bundles if bundle.run.published is None]
    for bundle in measured[:_MOST_CASES]:
        for cost in relative_costs(entries(bundle.records)):
            rows = [_cost_row(share, cost.unit) for share in cost.shares]
            name = f"{cost.name}, {bundle.run.id}" if several else cost.name
            heads = ("case", cost.name, "against the least of its like")
            caption = f"{name[0].upper()}{name[1:]}: {cost.definition}"
            tables.append(Table(columns=heads, rows=tuple(rows), caption=caption))
    return Section(
        name="costs",
        title="Relative cost",
        text="Measured seconds, and joules where a meter was read; no estimate, and no price.",
        tables=tuple(table for table in tables if table.rows),
    )


def _cost_row(share: Share, unit: str) -> tuple[Cell, ...]:
    if share.ratio is not None:
        against = text(change_of(share.ratio))
    else:
        against = text("the least" if share.cheapest else share.reason or "–")
    cell = computed(share.value, unit)
    return text(share.entry), replace(cell, text=f"{cell.text} (n={share.processes})"), against
