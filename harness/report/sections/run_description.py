"""Sections that describe the runs of a report: their settings, failures, notes and machines.

The facts of a file have no fixed form: every value is shown as the file has it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.analysis.claims.check import check
from harness.analysis.drift import PROBES, drifts_in_session, in_session_text
from harness.analysis.judge import STAND_IN_NOTE
from harness.inputs.cases import SUITES
from harness.report.cells import Column, texts
from harness.report.page import Section, Table
from harness.results.records import Bundle, Record, Status
from harness.units import format_value

_SHORT_HASH = 12
_MOST_CASES = 12  # side by side in one table
_MOST_VALUES = 8


def runs(bundles: Sequence[Bundle]) -> Section:
    """Section with a row per run: times, profile, commit and command."""
    rows = [
        texts(
            (
                bundle.run.id,
                bundle.run.started_at,
                bundle.run.finished_at or "not finished",
                bundle.run.profile,
                _known(bundle.run.options.get("repeats")),
                _commit(bundle),
                " ".join(bundle.run.command) or "none: published figures",
            )
        )
        for bundle in bundles
    ]
    columns = ("run", "started", "finished", "profile", "processes a case", "commit", "command")
    return Section(name="runs", title="Runs", tables=(Table(columns=columns, rows=tuple(rows), caption="Runs"),))


def _commit(bundle: Bundle) -> str:
    if bundle.run.git is None:
        return "not in a checkout"
    commit = str(bundle.run.git.get("commit", "unknown"))[:_SHORT_HASH]
    return commit + (" with changes" if bundle.run.git.get("dirty") else "")


def configuration(columns: Mapping[str, Sequence[Column]]) -> Section:
    """Section with the facts that differ between the cases, and with those that are equal in all of them."""
    facts: dict[str, dict[str, str]] = {}
    for suite in SUITES:
        for column in columns.get(suite, ()):
            of_case = facts.setdefault(column.name, {})
            of_case |= {name: value for name, value in case_facts(column.record).items() if name not in of_case}
    names = list(dict.fromkeys(name for fact in facts.values() for name in fact))
    equal, differing = [], []
    for name in names:
        values = [fact.get(name, "–") for fact in facts.values()]
        distinct = sorted({value for value in values if value != "–"})
        if len(facts) > 1 and len(distinct) == 1 and not name.endswith(" case"):
            equal.append(texts((name, distinct[0])))
        else:
            differing.append(texts((name, *values)))
    tables = [
        Table(columns=("what differs" if equal else "", *facts), rows=tuple(differing), caption="Case by case"),
        Table(columns=("what is equal", "in every case that has it"), rows=tuple(equal), caption="Equal in every case"),
    ]
    if len(facts) > _MOST_CASES:
        complete = [{name: fact.get(name, "–") for name in names} for fact in facts.values()]
        tables[0] = _value_counts(complete, [row[0].text for row in differing])
    return Section(name="configuration", title="Configuration", tables=tuple(table for table in tables if table.rows))


def _value_counts(facts: Sequence[dict[str, str]], names: Sequence[str]) -> Table:
    """Table of each fact with its values, and the number of cases that have each value."""
    rows = []
    for name in names:
        counts = Counter(fact[name] for fact in facts)
        values = [f"{value} ({count})" for value, count in counts.most_common(_MOST_VALUES)]
        left_out = [f"and {len(counts) - _MOST_VALUES} more"] if len(counts) > _MOST_VALUES else []
        rows.append(texts((name, "; ".join([*values, *left_out]))))
    return Table(columns=("what differs", "values (cases)"), rows=tuple(rows), caption="Configuration of the cases")


def case_facts(record: Record) -> dict[str, str]:
    """Return the facts of a case's key by name. The name of a setting begins with the name of its suite."""
    key = record.key
    if key is None:
        return {f"{record.suite} case": f"{record.status.value}: {record.reason or ''}"}
    facts: dict[str, Any] = {
        "model": key.model,
        "weights": key.weights.source,
        "repository": key.weights.repository,
        "revision": key.weights.revision,
        "weights sha256": key.weights.sha256[:_SHORT_HASH],
        "weight files": _files(key.weights.bytes),
        "stored as": key.weights.origin_quantization,
        "quantised": key.quantization,
        "computed in": key.dtype,
        "tokenizer sha256": key.tokenizer[:_SHORT_HASH],
        "device": key.device,
    }
    for name, value in (key.adapter or {}).items():
        if name == "training":  # the settings of the training suite hold the same facts
            continue
        facts[f"adapter {name}"] = len(value) if name == "modules" and isinstance(value, list) else value
    for name, value in (key.dataset or {}).items():
        facts[f"dataset {name}"] = str(value)[:_SHORT_HASH] if name == "sha256" else value
    for name, value in key.settings.items():
        facts[f"{record.suite} {name}"] = value
    return {name: _fact(value) for name, value in facts.items()}


def _files(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "unknown"
    return format_value(size_bytes, "byte") if size_bytes else "none: drawn at random"


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def contradictions(bundles: Iterable[Bundle]) -> Section:
    """Section with the claims of published reports that contradict the figures in the same report."""
    return Section(
        name="contradictions",
        title="Claims that do not hold",
        text="Published reports make statements; each was checked against the figures the same report prints.",
        findings=tuple(finding for bundle in bundles for finding in check(bundle)),
    )


def not_ok(records: Iterable[Record]) -> Section:
    """Section with a row for each case that did not end ok, and the reason."""
    rows = [
        texts((record.case, record.status.value, record.reason or ""))
        for record in records
        if record.status is not Status.OK
    ]
    table = Table(columns=("case", "status", "reason"), rows=tuple(rows), caption="Cases that did not end ok")
    return Section(name="not-ok", title="Cases without a result", tables=(table,))


def notes_of(records: Iterable[Record]) -> Section:
    """Section with each note once and the cases that have it, without the notes on stand-ins, which have a banner."""
    cases: dict[str, list[str]] = {}
    for record in records:
        for note in record.notes:
            if STAND_IN_NOTE not in note:
                cases.setdefault(note, []).append(record.case)
    rows = tuple(texts((note, ", ".join(names))) for note, names in cases.items())
    table = Table(columns=("note", "cases"), rows=rows, caption="What a case did otherwise than asked")
    return Section(name="notes", title="Notes", tables=(table,))


def environments(bundles: Sequence[Bundle]) -> Section:
    """Section with a column per run: the machine and the versions of the software."""
    facts = [(bundle.run.id, _machine(bundle)) for bundle in bundles]
    names = list(dict.fromkeys(name for _, fact in facts for name in fact))
    if len(facts) > _MOST_CASES:
        table = _value_counts([{name: fact.get(name, "unknown") for name in names} for _, fact in facts], names)
    else:
        rows = [texts((name, *(fact.get(name, "unknown") for _, fact in facts))) for name in names]
        table = Table(columns=("", *(run_id for run_id, _ in facts)), rows=tuple(rows), caption="Machine and versions")
    return Section(name="environment", title="Environment", tables=(table,), detail=True)


def _machine(bundle: Bundle) -> dict[str, str]:
    environment = bundle.environment
    if environment is None:
        return {}
    os, roofline = environment.os, environment.roofline
    facts = {
        "device": environment.device.get("name"),
        "system": _joined(os.get("system"), os.get("release"), os.get("machine")),
        "processor": os.get("processor"),
        "cores, threads": _joined(os.get("cores"), os.get("threads")),
        "memory": _quantity(os.get("memory_bytes"), "byte"),
        "Python": os.get("python"),
        **{name: version for name, version in environment.packages.items() if version},
        "BLAS": environment.blas.get("library"),
        "C++ compiler": environment.compiler or "none",
        "fp32 product, MLX": _quantity(roofline.get("gemm_flops_per_s"), "FLOP/s"),
        "fp32 product, NumPy": _quantity(roofline.get("numpy_gemm_flops_per_s"), "FLOP/s"),
        "memory copy": _quantity(roofline.get("copy_bytes_per_s"), "byte/s"),
        "products against NumPy's": _checked(environment.self_check),
        "measuring code sha256": environment.code and environment.code[:_SHORT_HASH],
        **_conditions("before", environment.power),
        **_conditions("after", environment.power_after),
        **{
            f"drift, {PROBES[drift.probe]}": in_session_text(drift)
            for drift in drifts_in_session(bundle.run.order, bundle.records)
        },
    }
    return {name: _known(value) for name, value in facts.items()}


def _conditions(when: str, conditions: dict[str, Any] | None) -> dict[str, Any]:
    """Return the load, memory and power of the machine by name, without values that it did not report."""
    texts_by_name = {}
    for name, value in (conditions or {}).items():
        stem, _, unit = name.rpartition("_")
        if unit == "bytes":
            texts_by_name[f"{stem} {when}"] = _quantity(value, "byte")
        elif value is not None:
            texts_by_name[f"{name} {when}"] = _fact(value)
    return {name.replace("_", " "): text for name, text in texts_by_name.items() if text is not None}


def _checked(self_check: dict[str, Any] | None) -> str | None:
    """Write the outcome of the device's numeric self-check."""
    if self_check is None:
        return None
    return "equal within tolerance" if self_check.get("ok") else "NOT EQUAL: these numbers mean nothing"


def _known(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _joined(*values: Any) -> str:
    return ", ".join(map(_known, values))


def _quantity(value: Any, unit: str) -> str | None:
    """Write a number with its unit; None where the value is no number."""
    return format_value(value, unit) if isinstance(value, int | float) and not isinstance(value, bool) else None
