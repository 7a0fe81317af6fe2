"""When an interleaved comparison is judged while it grows, and when it may end. Pure.

Each look at the growing samples is one more chance to err, so each has only its share (`judge.Demand.looks`).
docs/gate.md has a table of how many pairs are needed on average, and how often the verdict is right.
"""

from harness.gate.verdicts import GateResult, GateVerdict, Role

MOST_PAIRS = 30
_LOOKS = (10, 15, 20, 30)  # pairs; with fewer than 10, four looks leave too little to chance to tell anything


def of(most: int) -> tuple[int, ...]:
    """The numbers of pairs after which to judge, the last of them *most*."""
    return (*(look for look in _LOOKS if look < most), most)


def clear(result: GateResult) -> bool:
    """Whether the verdict on all is clear: something regressed, or all that has to be decided is decided.

    What more pairs cannot mend (a case that failed, another key) is decided too.
    """
    if result.verdict is GateVerdict.REGRESSION:
        return True
    required = [row.verdict for row in result.rows if row.role is Role.REQUIRED]
    watched = [row.verdict for row in result.rows if row.role is Role.WATCHED]
    return GateVerdict.INCONCLUSIVE not in required and (bool(required) or GateVerdict.INCONCLUSIVE not in watched)
