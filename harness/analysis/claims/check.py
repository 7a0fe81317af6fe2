"""Whether the claims of a published report agree with the figures in the same report.

Nothing here knows a report: a claim names a check and what it states, the records hold the figures, and the verdict
is computed from both. The same check finds nothing where the figures bear the claim out.
"""

from harness.analysis.claims.claim import question
from harness.analysis.claims.comparisons import CHECKS as COMPARING
from harness.analysis.claims.evidence import CHECKS as EVIDENCE
from harness.analysis.claims.losses import CHECKS as LOSSES
from harness.analysis.claims.training import CHECKS as TRAINING
from harness.analysis.finding import Finding
from harness.errors import UnknownName
from harness.results.records import Bundle, Claim

CHECKS = LOSSES | TRAINING | COMPARING | EVIDENCE


def check(bundle: Bundle) -> tuple[Finding, ...]:
    """Every claim of a published report that its own figures contradict, or do not bear out; in the claims' order.

    Raises:
        BadRecord: if a claim is about something no record of the report holds.
        UnknownName: if a claim names a check that there is not.
    """
    claims = bundle.run.published.claims if bundle.run.published else ()
    return tuple(found for claim in claims if (found := _check(claim, bundle)) is not None)


def _check(claim: Claim, bundle: Bundle) -> Finding | None:
    known = CHECKS.get(claim.check)
    if known is None:
        raise UnknownName("check", claim.check, CHECKS, f"({claim.where})")
    rule, level, answer = known
    its = answer(question(claim, bundle))
    if its is None:
        return None
    subject = ", ".join(claim.cases) or bundle.run.id
    numbers = {"where": claim.where, "claim": claim.text, **its.numbers}
    return Finding(rule=rule, level=level, subject=subject, text=f"{claim.where} {its.text}", numbers=numbers)
