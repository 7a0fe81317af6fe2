"""Which cases' timings to distrust: those measured while the machine was slower, or unsteady. Pure.

Every measured process also measures the machine, with the same two probes. A case whose probes ran slower than those of
the other cases was disturbed, and what it measured may have been disturbed with it.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from harness.analysis.drift import PROBES, probe_rates
from harness.analysis.finding import Finding
from harness.analysis.stats.estimates import coefficient_of_variation
from harness.inputs.cases import SUITES
from harness.report.page import Section
from harness.results.records import Bundle, Record
from harness.units import format_percent

_SLOWER = 0.85  # of the median probe; chosen: beyond what the probe varies by itself on a quiet machine
_UNSTEADY = 0.10  # within a process; source: rule R20, "low" steadiness from 10 % on
_FEWEST_ANSWERS = 5  # as the profile for verdicts has them; of two a spread says little
_FEWEST = 3  # cases, for a median to tell which one is odd


def trust(bundles: Sequence[Bundle], suites: Sequence[str] = SUITES) -> Section:
    """A finding a case of these suites and reason."""
    every = (its for bundle in bundles for its in (*_disturbed(bundle), *_unsteady(bundle.records)))
    findings = tuple(its for its in every if its.subject.partition("/")[0] in suites)
    return Section(
        name="distrust",
        title="Timings to distrust",
        text="Every process measures the machine too. These cases were measured while it was slower than for the "
        "others, or answer the same prompt at a varying speed: measure them again on a quiet machine.",
        findings=findings,
    )


def _disturbed(bundle: Bundle) -> Iterator[Finding]:
    for probe, what in PROBES.items():
        by_dtype: dict[str, list[tuple[Record, float]]] = {}
        for record in bundle.records:
            if record.key is not None and (speeds := probe_rates(record, probe)):
                by_dtype.setdefault(record.key.dtype, []).append((record, min(speeds)))
        for rates in by_dtype.values():
            middle = median(rate for _, rate in rates)
            for record, rate in rates if len(rates) >= _FEWEST and middle > 0 else ():
                if rate < _SLOWER * middle:
                    yield Finding(
                        rule="R2",
                        level="warning",
                        subject=record.case,
                        text=f"the machine's own {what} ran at {format_percent(rate / middle)} of the median case's",
                        numbers={"probe": probe, "rate": rate, "median": middle},
                    )


def _unsteady(records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        metric = record.metrics.get("repeat_decode_tokens_per_s")
        for process in (metric.samples if metric else None) or ():
            spread = coefficient_of_variation(process)
            if spread is not None and spread > _UNSTEADY and len(process) >= _FEWEST_ANSWERS:
                yield Finding(
                    rule="R5",
                    level="warning",
                    subject=record.case,
                    text=f"one prompt, answered {len(process)} times, decodes at speeds that vary by "
                    f"{format_percent(spread)} (coefficient of variation)",
                    numbers={"coefficient_of_variation": spread, "repeats": len(process)},
                )
                break
