"""Interim analyses of an interleaved comparison: when it is judged while it grows, and when it may stop.

Each analysis of the growing samples is one more chance of a false alarm, so each has only its share of the
significance level (`judge.Demand.looks`). docs/gate.md shows how many pairs are needed on average, and how often the
verdict is right.
"""

from harness.gate.verdicts import GateResult, GateVerdict, Role

MOST_PAIRS = 30
_AFTER_PAIRS = (10, 15, 20, 30)  # with fewer than 10, four analyses leave too small a significance level


def schedule(pairs: int) -> tuple[int, ...]:
    """Return the numbers of pairs after which to judge; the last one is *pairs*."""
    return (*(number for number in _AFTER_PAIRS if number < pairs), pairs)


def may_stop(result: GateResult) -> bool:
    """Tell whether the verdict is final: a metric regressed, or every row that has to be decided is.

    Rows that more pairs cannot decide (a failed case, a different key) count as decided.
    """
    if result.verdict is GateVerdict.REGRESSION:
        return True
    required = [row.verdict for row in result.rows if row.role is Role.REQUIRED]
    watched = [row.verdict for row in result.rows if row.role is Role.WATCHED]
    return GateVerdict.INCONCLUSIVE not in required and (bool(required) or GateVerdict.INCONCLUSIVE not in watched)
