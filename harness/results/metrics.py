"""Registry of all metrics by name, for the worker, the records, the reports and the docs page.

Each name has one meaning and one unit, both from the table in `metric_definitions`.
"""

from harness.errors import UnknownName
from harness.results.metric_definitions import ALL, MetricDefinition
from harness.results.records import Metric

DEFINITIONS = {definition.name: definition for definition in ALL}
# Seconds per token, or per answer of a fixed number of tokens: comparable only within one tokenizer.
BY_TOKEN = frozenset({"itl_s", "tpot_s", "response_s"})


def define(name: str) -> MetricDefinition:
    """Look up a metric's definition.

    Raises:
        UnknownName: if there is no metric of this name.
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
    """Make a metric from samples, with the unit, direction and kind of its definition."""
    definition = define(name)
    return Metric(
        unit=definition.unit,
        better=definition.better,
        kind=definition.kind,
        samples=samples,
        labels=labels,
        reason=reason,
    )


# Labels of memory that do not measure the work: the probe of the machine, and the process as a whole.
NO_WORK = {"probe", "process"}
