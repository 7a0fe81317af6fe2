"""What a report says of runs, settings and machines, as tables of finished text. Pure.

Facts come out of files in free form: whatever is in them is shown as it is, and does nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from harness.cases import SUITES
from harness.drift import drifts
from harness.markdown import inert
from harness.records import Bundle, Record, Status
from harness.tables import Column, Section, Table, inert_list
from harness.units import format_value

_SHORT_HASH = 12


def runs(bundles: Sequence[Bundle]) -> Section:
    """One row a run: when, how much, with which code and command."""
    rows = [
        (
            inert(bundle.run.id),
            inert(bundle.run.started_at),
            inert(bundle.run.finished_at or "not finished"),
            inert(bundle.run.profile),
            inert(_known(bundle.run.options.get("repeats"))),
            inert(_commit(bundle)),
            inert(" ".join(bundle.run.command)),
        )
        for bundle in bundles
    ]
    columns = ("run", "started", "finished", "profile", "processes a case", "commit", "command")
    return Section(title="Runs", table=Table(columns=columns, rows=tuple(rows)))


def _commit(bundle: Bundle) -> str:
    if bundle.run.git is None:
        return "not in a checkout"
    commit = str(bundle.run.git.get("commit", "unknown"))[:_SHORT_HASH]
    return commit + (" with changes" if bundle.run.git.get("dirty") else "")


def configuration(columns: dict[str, list[Column]]) -> Section:
    """One row a fact, one column a model and adapter; the settings of a suite carry its name."""
    facts: dict[str, dict[str, str]] = {}
    for suite in SUITES:
        for column in columns[suite]:
            known = facts.setdefault(column.name, {})
            known |= {name: text for name, text in _key_facts(column.record).items() if name not in known}
    names = list(dict.fromkeys(name for fact in facts.values() for name in fact))
    rows = [(name, *(fact.get(name, "–") for fact in facts.values())) for name in names]
    return Section(title="Configuration", table=Table(columns=("", *facts), rows=tuple(rows)))


def _key_facts(record: Record) -> dict[str, str]:
    key = record.key
    if key is None:
        return {f"{record.suite} case": f"{record.status.value}: {inert(record.reason or '')}"}
    facts: dict[str, Any] = {
        "model": key.model,
        "weights": key.weights.source,
        "repository": key.weights.repository,
        "revision": key.weights.revision,
        "weights sha256": key.weights.sha256[:_SHORT_HASH],
        "weight files": format_value(key.weights.bytes, "byte"),
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
    return {inert(name): inert(_fact(value)) for name, value in facts.items()}


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {its}" for name, its in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def not_ok(records: Iterable[Record]) -> Section:
    """One row a case that has no result, with the reason."""
    rows = [
        (inert(record.case), record.status.value, inert(record.reason or ""))
        for record in records
        if record.status is not Status.OK
    ]
    return Section(title="Cases without a result", table=Table(columns=("case", "status", "reason"), rows=tuple(rows)))


def notes_of(records: Iterable[Record]) -> Section:
    """What a case did otherwise than asked, each note once with its cases."""
    cases: dict[str, list[str]] = {}
    for record in records:
        for note in record.notes:
            cases.setdefault(note, []).append(record.case)
    rows = tuple((inert(note), ", ".join(inert_list(its))) for note, its in cases.items())
    return Section(title="Notes", table=Table(columns=("note", "cases"), rows=rows))


def environments(bundles: Sequence[Bundle]) -> Section:
    """One column a run: the machine and the versions."""
    facts = [(bundle.run.id, _machine(bundle)) for bundle in bundles]
    names = list(dict.fromkeys(name for _, fact in facts for name in fact))
    rows = [(name, *(fact.get(name, "unknown") for _, fact in facts)) for name in names]
    heads = tuple(inert(run_id) for run_id, _ in facts)
    return Section(title="Environment", table=Table(columns=("", *heads), rows=tuple(rows)))


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
        **{f"drift, {its.what}": its.change for its in drifts(bundle.run.order, bundle.records)},
    }
    return {inert(name): inert(_known(value)) for name, value in facts.items()}


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
