"""Every metric there is, by name: what worker, records, reports and the docs page go by.

A name means one thing; the units of a record are the units of the table in `definitions`.
"""

from harness.errors import UnknownName
from harness.results.metric_definitions import ALL, MetricDefinition
from harness.results.records import Metric

DEFINITIONS = {definition.name: definition for definition in ALL}
# Seconds of a token, or of an answer of so many: they compare within one tokenizer alone.
BY_TOKEN = frozenset({"itl_s", "tpot_s", "response_s"})


def define(name: str) -> MetricDefinition:
    """Look a metric up.

    Raises:
        UnknownName: if no metric is called so.
    """
    if name not in DEFINITIONS:
        raise UnknownName("metric", name, DEFINITIONS)
    return DEFINITIONS[name]


def metric(
    name: str,
    samples: tuple[tuple[float, ...], ...] | None,
    *,
    labels: tuple[str, ...] | None = None,
    reason: str | None = None,
) -> Metric:
    """Give readings the unit, direction and kind of their definition."""
    definition = define(name)
    return Metric(
        unit=definition.unit,
        better=definition.better,
        kind=definition.kind,
        samples=samples,
        labels=labels,
        reason=reason,
    )


NO_WORK = {
    "probe",
    "process",
}  # labels of memory that are not of the work: of the machine, and of all that is in the process
