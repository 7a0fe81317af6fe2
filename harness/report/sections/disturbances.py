"""Cases whose timings are to be distrusted, because the machine was slower or unsteady while they were measured.

Every measured process also measures the machine, with the same two probes. If the probes of a case ran slower than
those of the other cases, the machine was disturbed, and the timings of the case may be disturbed too.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from harness.analysis.drift import PROBES, probe_rates
from harness.analysis.finding import Finding, Level
from harness.analysis.stats.estimates import coefficient_of_variation
from harness.inputs.cases import SUITES
from harness.report.page import Section
from harness.results.case_id import CaseId
from harness.results.records import Bundle, Record
from harness.units import format_percent

_SLOWER = 0.85  # of the median probe; chosen: farther below than the probe varies on a quiet machine
_UNSTEADY = 0.10  # within a process; source: rule R20, "low" steadiness from 10 % on
_FEWEST_ANSWERS = 5  # as in the profile for verdicts; the spread of two says little
_FEWEST_CASES = 3  # of two, the median cannot tell which one is slow


def timings_to_distrust(bundles: Sequence[Bundle], suites: Sequence[str] = SUITES) -> Section:
    """Section with a finding for each case of *suites* and reason to distrust its timings."""
    findings = tuple(
        finding
        for bundle in bundles
        for finding in (*_slow_probes(bundle), *_unsteady_decoding(bundle.records))
        if CaseId.parse(finding.subject).suite in suites
    )
    return Section(
        name="distrust",
        title="Timings to distrust",
        text="Every process measures the machine too. These cases were measured while it was slower than for the "
        "others, or answer the same prompt at a varying speed: measure them again on a quiet machine.",
        findings=findings,
    )


def _slow_probes(bundle: Bundle) -> Iterator[Finding]:
    """Report cases that ran a probe clearly slower than the median case of the same dtype (rule R2)."""
    for probe, probe_name in PROBES.items():
        by_dtype: dict[str, list[tuple[Record, float]]] = {}
        for record in bundle.records:
            if record.key is not None and (speeds := probe_rates(record, probe)):
                by_dtype.setdefault(record.key.dtype, []).append((record, min(speeds)))
        for rates in by_dtype.values():
            median_rate = median(rate for _, rate in rates)
            for record, rate in rates if len(rates) >= _FEWEST_CASES and median_rate > 0 else ():
                if rate < _SLOWER * median_rate:
                    share = format_percent(rate / median_rate)
                    yield Finding(
                        rule="R2",
                        level=Level.WARNING,
                        subject=record.case,
                        text=f"the machine's own {probe_name} ran at {share} of the median case's",
                        numbers={"probe": probe, "rate": rate, "median": median_rate},
                    )


def _unsteady_decoding(records: Sequence[Record]) -> Iterator[Finding]:
    """Report cases that answered the same prompt at varying speeds (rule R5)."""
    for record in records:
        metric = record.metrics.get("repeat_decode_tokens_per_s")
        for process in (metric.samples if metric else None) or ():
            spread = coefficient_of_variation(process)
            if spread is not None and spread > _UNSTEADY and len(process) >= _FEWEST_ANSWERS:
                yield Finding(
                    rule="R5",
                    level=Level.WARNING,
                    subject=record.case,
                    text=f"one prompt, answered {len(process)} times, decodes at speeds that vary by "
                    f"{format_percent(spread)} (coefficient of variation)",
                    numbers={"coefficient_of_variation": spread, "repeats": len(process)},
                )
                break
