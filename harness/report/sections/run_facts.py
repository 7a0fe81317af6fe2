"""What a report says of runs, settings and machines, as tables of finished text. Pure.

Facts come out of files in free form: whatever is in them is shown as it is.
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
    """One row a run: when, how much, with which code and command."""
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
    """What differs between the cases, and what is equal in all of them; the settings of a suite carry its name."""
    facts: dict[str, dict[str, str]] = {}
    for suite in SUITES:
        for column in columns.get(suite, ()):
            known = facts.setdefault(column.name, {})
            known |= {name: words for name, words in case_facts(column.record).items() if name not in known}
    names = list(dict.fromkeys(name for fact in facts.values() for name in fact))
    equal, differing = [], []
    for name in names:
        values = [fact.get(name, "–") for fact in facts.values()]
        given = sorted({value for value in values if value != "–"})
        if len(facts) > 1 and len(given) == 1 and not name.endswith(" case"):
            equal.append(texts((name, given[0])))
        else:
            differing.append(texts((name, *values)))
    tables = [
        Table(columns=("what differs" if equal else "", *facts), rows=tuple(differing), caption="Case by case"),
        Table(columns=("what is equal", "in every case that has it"), rows=tuple(equal), caption="Equal in every case"),
    ]
    if len(facts) > _MOST_CASES:
        every = [{name: fact.get(name, "–") for name in names} for fact in facts.values()]
        tables[0] = _values(every, [row[0].text for row in differing])
    return Section(name="configuration", title="Configuration", tables=tuple(its for its in tables if its.rows))


def _values(facts: Sequence[dict[str, str]], names: Sequence[str]) -> Table:
    """Of many cases: each fact with the values it takes, and in how many cases."""
    rows = []
    for name in names:
        counts = Counter(fact[name] for fact in facts)
        values = [f"{value} ({count})" for value, count in counts.most_common(_MOST_VALUES)]
        more = [f"and {len(counts) - _MOST_VALUES} more"] if len(counts) > _MOST_VALUES else []
        rows.append(texts((name, "; ".join([*values, *more]))))
    return Table(columns=("what differs", "values (cases)"), rows=tuple(rows), caption="Configuration of the cases")


def case_facts(record: Record) -> dict[str, str]:
    """What a case was measured with, by name; the settings carry their suite's name in front."""
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
        if name == "training":  # the rows of the training suite say it
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
        return ", ".join(f"{name} {its}" for name, its in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def contradictions(bundles: Iterable[Bundle]) -> Section:
    """What published reports say of their own figures, and the figures do not bear out."""
    return Section(
        name="contradictions",
        title="Claims that do not hold",
        text="Published reports make statements; each was checked against the figures the same report prints.",
        findings=tuple(finding for bundle in bundles for finding in check(bundle)),
    )


def not_ok(records: Iterable[Record]) -> Section:
    """One row a case that has no result, with the reason."""
    rows = [
        texts((record.case, record.status.value, record.reason or ""))
        for record in records
        if record.status is not Status.OK
    ]
    table = Table(columns=("case", "status", "reason"), rows=tuple(rows), caption="Cases that did not end ok")
    return Section(name="not-ok", title="Cases without a result", tables=(table,))


def notes_of(records: Iterable[Record]) -> Section:
    """What a case did otherwise than asked, each note once with its cases; what a banner says is not said again."""
    cases: dict[str, list[str]] = {}
    for record in records:
        for note in record.notes:
            if STAND_IN_NOTE not in note:
                cases.setdefault(note, []).append(record.case)
    rows = tuple(texts((note, ", ".join(its))) for note, its in cases.items())
    table = Table(columns=("note", "cases"), rows=rows, caption="What a case did otherwise than asked")
    return Section(name="notes", title="Notes", tables=(table,))


def environments(bundles: Sequence[Bundle]) -> Section:
    """One column a run: the machine and the versions."""
    facts = [(bundle.run.id, _machine(bundle)) for bundle in bundles]
    names = list(dict.fromkeys(name for _, fact in facts for name in fact))
    if len(facts) > _MOST_CASES:
        table = _values([{name: fact.get(name, "unknown") for name in names} for _, fact in facts], names)
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
    """What the machine was doing; what it did not tell is left out."""
    written = {}
    for name, value in (conditions or {}).items():
        stem, _, unit = name.rpartition("_")
        if unit == "bytes":
            written[f"{stem} {when}"] = _quantity(value, "byte")
        elif value is not None:
            written[f"{name} {when}"] = _fact(value)
    return {name.replace("_", " "): text for name, text in written.items() if text is not None}


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
    """Write a number of a free-form fact; None if it is none."""
    return format_value(value, unit) if isinstance(value, int | float) and not isinstance(value, bool) else None
