"""A comparison report as finished text: stored runs in, tables of strings out. Pure.

Whatever is decided is decided in `judge`; whatever is written as a number is written in `units`. A
template below this line only places strings.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.cases import SUITES
from harness.judge import STAND_INS, Contender, winner
from harness.markdown import inert
from harness.metrics import DEFINITIONS
from harness.records import Better, Bundle, Metric, Record, Series, Status
from harness.stats import Summary, summarise
from harness.units import NOT_MEASURED, format_number, format_percent, format_value, scale_of

KIND = "comparison"
_SHORT_HASH = 12

_ROWS = {
    "training": (
        "train_tokens_per_s", "train_loss_tokens_per_s", "train_padded_tokens_per_s", "padding_share",
        "train_rows_per_s", "train_bytes_per_s", "step_s", "first_step_s", "train_wall_s",
        "train_loss_first", "train_loss_final", "val_loss_first", "val_loss_best", "val_loss_best_iteration",
        "val_loss_final", "overfit_gap", "total_parameters", "trainable_parameters", "adapter_bytes",
    ),
    "evaluation": ("test_loss", "test_perplexity", "bits_per_byte", "eos_rate", "response_words"),
    "inference": ("load_s", "disk_bytes", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "response_s"),
}  # fmt: skip
_MEMORY = ("peak_active_bytes", "peak_cache_bytes", "peak_footprint_bytes")
_ARROWS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NONE: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A grid of finished cells; *notes* are its footnotes, in order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with one table; *text* stands above it."""

    title: str
    table: Table
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a comparison template is given."""

    title: str
    headline: str
    banners: tuple[str, ...]
    sections: tuple[Section, ...]
    not_measured: tuple[str, ...]
    definitions: Table
    provenance: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One record and how its column is headed."""

    name: str
    record: Record


@dataclass(slots=True)
class _Footnotes:
    """Numbers reasons in the order they are first needed; equal ones share a number."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """Give the mark that stands for *text*."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self) -> tuple[str, ...]:
        """Write all of them."""
        return tuple(f"[{number}] {text}" for number, text in enumerate(self.texts, start=1))


def compare(bundles: Sequence[Bundle]) -> Report:
    """Turn one or more runs into a report."""
    records = [record for bundle in bundles for record in bundle.records]
    columns = {suite: _columns(bundles, suite) for suite in SUITES}
    sections = [
        _runs(bundles),
        _configuration(columns),
        _metric_section("training", columns),
        _trajectory(columns["training"]),
        _metric_section("evaluation", columns),
        _metric_section("inference", columns),
        _memory(columns),
        *_texts(columns["evaluation"]),
        _not_ok(records),
        _notes(records),
        _environment(bundles),
    ]
    return Report(
        title=" and ".join(_inert_list(_models(records))) or "no models",
        headline=_headline(records, columns),
        banners=_banners(bundles, records),
        sections=tuple(section for section in sections if section.table.rows),
        not_measured=_not_measured(records),
        definitions=_definitions(records),
        provenance=tuple(f"{inert(bundle.run.id)}, schema {bundle.schema}" for bundle in bundles),
    )


def _models(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(record.case.split("/")[1] for record in records))


def _inert_list(texts: Iterable[str]) -> list[str]:
    return [inert(text) for text in texts]


def _columns(bundles: Sequence[Bundle], suite: str) -> list[_Column]:
    """One column a record of the suite; with several runs the run's id tells them apart."""
    columns: list[_Column] = []
    seen: Counter[str] = Counter()
    for bundle in bundles:
        for record in bundle.records:
            if record.suite == suite:
                name = inert(record.case.partition("/")[2] + (f" ({bundle.run.id})" if len(bundles) > 1 else ""))
                seen[name] += 1
                columns.append(_Column(name=f"{name} ({seen[name]})" if seen[name] > 1 else name, record=record))
    return columns


# --- what a reader has to know first ---


def _headline(records: Sequence[Record], columns: dict[str, list[_Column]]) -> str:
    ok = sum(record.status is Status.OK for record in records)
    parts = [f"{ok} of {len(records)} cases ended ok."]
    for suite in SUITES:
        its = [column for column in columns[suite] if column.record.metrics]
        if len(its) > 1:
            decided = [row for row in _metric_rows(suite, its, _Footnotes()) if row.winner is not None]
            total = len(_metric_rows(suite, its, _Footnotes()))
            parts.append(f"{suite.capitalize()}: {len(decided)} of {total} rows name a winner.")
    return " ".join(parts)


def _banners(bundles: Sequence[Bundle], records: Sequence[Record]) -> tuple[str, ...]:
    banners = []
    stand_ins = sorted(
        {record.key.model for record in records if record.key and record.key.weights.source in STAND_INS}
    )
    if stand_ins:
        names = ", ".join(_inert_list(stand_ins))
        banners.append(
            f"STAND-IN WEIGHTS ({names}): a shrunk model with random weights was measured. "
            "Its speed, memory, losses and texts say nothing about the real one."
        )
    if any(bundle.run.profile == "smoke" for bundle in bundles):
        banners.append("SMOKE SIZE: enough work to see that everything runs; too little for a verdict.")
    if any(bundle.environment and bundle.environment.device.get("type") == "cpu" for bundle in bundles):
        banners.append("CPU BACKEND: these are not the numbers of an Apple or NVIDIA GPU.")
    failed = sum(record.status is not Status.OK for record in records)
    if failed:
        banners.append(f"FAILURES: {failed} of {len(records)} cases have no result; they are listed below.")
    if any(bundle.run.finished_at is None for bundle in bundles):
        banners.append("RUN INCOMPLETE: a session did not reach its end; what it had measured is shown.")
    if any(bundle.run.git and bundle.run.git.get("dirty") for bundle in bundles):
        banners.append("DIRTY GIT TREE: the code that measured is not the commit that is named.")
    warnings = dict.fromkeys(warning for bundle in bundles for warning in bundle.run.warnings)
    return (*banners, *(f"Warning: {inert(warning)}" for warning in warnings))


def _runs(bundles: Sequence[Bundle]) -> Section:
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


def _configuration(columns: dict[str, list[_Column]]) -> Section:
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
        "computed in": key.dtype,
        "tokenizer sha256": key.tokenizer[:_SHORT_HASH],
        "device": key.device,
    }
    for name, value in (key.adapter or {}).items():
        facts[f"adapter {name}"] = value
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


# --- what was measured ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _MetricRow:
    cells: tuple[str, ...]
    winner: str | None


def _metric_section(suite: str, columns: dict[str, list[_Column]]) -> Section:
    """One row a metric and label; the last column says what the numbers allow to say."""
    its = [column for column in columns[suite] if column.record.metrics]
    notes = _Footnotes()
    rows = _metric_rows(suite, its, notes)
    verdict = ("verdict",) if len(its) > 1 else ()
    return Section(
        title=suite.capitalize(),
        text="Median [lowest – highest process]; n = processes × readings in each. "
        "↑ the more the better, ↓ the less the better.",
        table=Table(
            columns=("metric", *(column.name for column in its), *verdict),
            rows=tuple(row.cells for row in rows),
            notes=notes.lines(),
        ),
    )


def _metric_rows(suite: str, columns: Sequence[_Column], notes: _Footnotes) -> list[_MetricRow]:
    rows = []
    for name in _ROWS[suite]:
        metrics = [column.record.metrics.get(name) for column in columns]
        labels = dict.fromkeys(label for metric in metrics if metric for label in metric.parts())
        unmeasured = [None] if any(metrics) else []
        for label in labels or unmeasured:
            cells = [_cell(metric, label, notes) for metric in metrics]
            best, verdict = _verdict(columns, name, label, notes)
            arrow = _ARROWS[DEFINITIONS[name].better]
            title = " ".join(filter(None, (f"`{name}`", inert(label) if label else "", arrow)))
            cells += [verdict] if len(columns) > 1 else []
            rows.append(_MetricRow(cells=(title, *cells), winner=best))
    return rows


def _cell(metric: Metric | None, label: str | None, notes: _Footnotes) -> str:
    if metric is None:
        return NOT_MEASURED
    samples = metric.parts().get(label)
    if samples is None:
        return f"{NOT_MEASURED} {notes.mark(inert(metric.reason or 'no reason given'))}"
    return write_summary(summarise(samples), metric.unit)


def write_summary(summary: Summary, unit: str) -> str:
    """Write a median with its spread and n; with a single process there is no spread to write."""
    factor, symbol = scale_of(summary.median, unit)
    whole = unit in {"parameter", "iteration"}
    middle, low, high = (
        format_percent(value) if unit == "share" else format_number(value / factor, whole=whole)
        for value in (summary.median, summary.low, summary.high)
    )
    each, uneven = divmod(summary.readings, summary.processes)
    spread = f" [{low} – {high}]" if summary.processes > 1 else ""
    count = f"n={summary.processes}" + (f"×{each}" if each > 1 else "")
    if uneven:
        count = f"n={summary.processes}, {summary.readings} readings"
    return f"{middle}{spread} {inert(symbol) if symbol else ''} ({count})".replace("  ", " ")


def _verdict(columns: Sequence[_Column], name: str, label: str | None, notes: _Footnotes) -> tuple[str | None, str]:
    """Name the winner of a row, or the mark of the reason why there is none."""
    contenders = [
        Contender(name=column.name, key=column.record.key, metric=metric)
        for column in columns
        if column.record.status is Status.OK
        and (metric := column.record.metrics.get(name)) is not None
        and label in metric.parts()
    ]
    if len(contenders) < 2 or contenders[0].metric.better is Better.NONE:  # noqa: PLR2004 - two sides
        return None, ""
    best, reason = winner(contenders, label=label)
    return best, f"{best} is better ({reason})" if best else f"– {notes.mark(reason)}"


def _trajectory(columns: Sequence[_Column]) -> Section:
    """Training and validation loss where validation took place."""
    its = [column for column in columns if "val_loss" in column.record.series]
    names = ("train_loss", "val_loss")
    curves = [_points(column.record.series.get(name)) for column in its for name in names]
    marks = {x for curve in curves[1::2] for x in curve} | {min(curve) for curve in curves[::2] if curve}
    rows = [(format_number(mark, whole=True), *(_loss(curve.get(mark)) for curve in curves)) for mark in sorted(marks)]
    heads = [f"{column.name} {kind}" for column in its for kind in ("train", "val")]
    return Section(
        title="Loss trajectory",
        text="In nat/token, of the first process, by updates done. train: the step's own batch, as mlx-lm's trainer "
        "reports it. val: all validation rows once, no padding. The two do not compare with each other.",
        table=Table(columns=("iteration", *heads), rows=tuple(rows)),
    )


def _points(series: Series | None) -> dict[float, float]:
    return {} if series is None else dict(zip(series.x, series.y, strict=True))


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _memory(columns: dict[str, list[_Column]]) -> Section:
    """Peaks by suite, case and phase."""
    notes = _Footnotes()
    rows = []
    for suite in SUITES:
        for column in columns[suite]:
            metrics = column.record.metrics
            labels = dict.fromkeys(label for name in _MEMORY if name in metrics for label in metrics[name].parts())
            for label in labels:
                cells = (_cell(metrics.get(name), label, notes) for name in _MEMORY)
                rows.append((f"{suite} {column.name}", inert(label or ""), *cells))
    heads = tuple(f"`{name}`" for name in _MEMORY)
    return Section(
        title="Memory",
        text="High-water marks of each phase, reset at its start.",
        table=Table(columns=("case", "phase", *heads), rows=tuple(rows), notes=notes.lines()),
    )


def _texts(columns: Sequence[_Column]) -> list[Section]:
    """One table a model: every evaluation prompt with the answers side by side."""
    sections = []
    for model in dict.fromkeys(column.record.case.split("/")[1] for column in columns):
        its = [column for column in columns if column.record.case.split("/")[1] == model and column.record.outputs]
        answers = [{(output.prompt_id, output.prompt): output for output in column.record.outputs} for column in its]
        rows = []
        for question in dict.fromkeys(question for answer in answers for question in answer):
            found = [answer.get(question) for answer in answers]
            texts = [
                f"{inert(its.text)} <br>({_ending(its.finish_reason)})" if its else "not recorded" for its in found
            ]
            rows.append((inert(question[1]), *texts))
        table = Table(columns=("prompt", *(column.name for column in its)), rows=tuple(rows))
        sections.append(Section(title=f"Answers of {inert(model)}", table=table))
    return sections


def _ending(finish_reason: str) -> str:
    return "ended by itself" if finish_reason == "stop" else "cut at the token limit"


def _not_ok(records: Iterable[Record]) -> Section:
    rows = [
        (inert(record.case), record.status.value, inert(record.reason or ""))
        for record in records
        if record.status is not Status.OK
    ]
    return Section(title="Cases without a result", table=Table(columns=("case", "status", "reason"), rows=tuple(rows)))


def _notes(records: Iterable[Record]) -> Section:
    """What a case did otherwise than asked, each note once with its cases."""
    cases: dict[str, list[str]] = {}
    for record in records:
        for note in record.notes:
            cases.setdefault(note, []).append(record.case)
    rows = tuple((inert(note), ", ".join(_inert_list(its))) for note, its in cases.items())
    return Section(title="Notes", table=Table(columns=("note", "cases"), rows=rows))


# --- where and with what ---


def _environment(bundles: Sequence[Bundle]) -> Section:
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
        "load average at the start": environment.power.get("load_average_1min"),
    }
    return {inert(name): inert(_known(value)) for name, value in facts.items()}


def _known(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _joined(*values: Any) -> str:
    return ", ".join(map(_known, values))


def _quantity(value: Any, unit: str) -> str | None:
    """Write a number of a free-form fact; None if it is none."""
    return format_value(value, unit) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _not_measured(records: Sequence[Record]) -> tuple[str, ...]:
    """Name every metric of the registry that no record of these runs holds."""
    measured = {name for record in records for name, metric in record.metrics.items() if metric.samples is not None}
    return tuple(name for name in DEFINITIONS if name not in measured)


def _definitions(records: Sequence[Record]) -> Table:
    used = {name for record in records for name in record.metrics}
    rows = [(f"`{its.name}`", its.unit, its.definition) for its in DEFINITIONS.values() if its.name in used]
    return Table(columns=("metric", "unit", "definition"), rows=tuple(rows))
