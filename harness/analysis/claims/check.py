"""Check the claims of a published report against the figures in the same report.

No report is known by name: a claim names a check and states numbers, the records hold the figures, and the check
compares them. The same check finds nothing if the figures support the claim.
"""

from harness.analysis.claims.comparisons import CHECKS as COMPARISONS
from harness.analysis.claims.context import CheckTable, claim_context
from harness.analysis.claims.evidence import CHECKS as EVIDENCE
from harness.analysis.claims.losses import CHECKS as LOSSES
from harness.analysis.claims.training import CHECKS as TRAINING
from harness.analysis.finding import Finding
from harness.errors import UnknownName
from harness.results.records import Bundle, Claim

CHECKS: CheckTable = LOSSES | TRAINING | COMPARISONS | EVIDENCE


def check(bundle: Bundle) -> tuple[Finding, ...]:
    """Return a finding for each claim that the report's own figures contradict or cannot support, in the claims' order.

    Raises:
        BadRecord: if a claim is about something that no record of the report holds.
        UnknownName: if a claim names an unknown check.
    """
    claims = bundle.run.published.claims if bundle.run.published else ()
    return tuple(finding for claim in claims if (finding := _check(claim, bundle)) is not None)


def _check(claim: Claim, bundle: Bundle) -> Finding | None:
    entry = CHECKS.get(claim.check)
    if entry is None:
        raise UnknownName("check", claim.check, CHECKS, f"({claim.where})")
    rule, level, check_claim = entry
    answer = check_claim(claim_context(claim, bundle))
    if answer is None:
        return None
    subject = ", ".join(claim.cases) or bundle.run.id
    numbers = {"where": claim.where, "claim": claim.text, **answer.numbers}
    return Finding(rule=rule, level=level, subject=subject, text=f"{claim.where} {answer.text}", numbers=numbers)
