"""A small report made by hand that uses every field there is, and one with a text in all of them."""

from dataclasses import fields, is_dataclass, replace
from enum import Enum

from harness.analysis.finding import Finding, Level
from harness.report.figures.charts import Chart
from harness.report.page import Cell, Listing, Provenance, Report, Section, Source, State, Table

PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20"><path d="M0 0L80 20" stroke="#0072B2"/></svg>'
)


def cell(text, state=State.TEXT, **changes):
    return Cell(text=text, state=state, **changes)


def figures(text, value, **changes):
    return cell(text, State.MEASURED, value=value, **changes)


def verdict(text, judgement, *winners):
    return cell(text, State.VERDICT, verdict=judgement, winners=winners)


SPEED = Table(
    caption="Medians with 95 % intervals",
    columns=("metric", "tiny/base", "tiny/r8", "verdict"),
    rows=(
        (
            cell("decode_tokens_per_s", State.CODE),
            figures(
                "10.5 [10, 11] tok/s (6×1)", 10.5, low=10.0, high=11.0, unit="tok/s", values=(10.0, 11.0), readings=6
            ),
            figures("22 [20, 24] tok/s (6×1)", 22.0),
            verdict("tiny/r8 has 2.1 times the rate", "better", "tiny/r8"),
        ),
        (
            cell("ttft_s", State.CODE),
            figures("0.5 [0.25, 0.75] s (6×1)", 0.5, notes=(1,)),
            cell("not measured", State.NOT_MEASURED, notes=(1, 2)),
            verdict("n=1; a verdict needs 5", "not judged"),
        ),
        (
            cell("loss_drop", State.CODE),
            cell("87 %", State.COMPUTED, value=0.87),
            cell("–", State.NOT_APPLICABLE),
            cell(""),
        ),
    ),
    notes=("A prompt of 3 tokens.", "It broke | early."),
)


def small_report():
    return Report(
        kind="comparison",
        title="tiny",
        headline=("2 of 3 cases ended ok.", "Inference: 1 of 2 rows names a winner."),
        how_to_read="Medians of processes.",
        banners=("SMOKE SIZE: too little for a verdict.", "SINGLE SEED: one seed a case."),
        sections=(
            Section(
                name="inference",
                title="Inference",
                text="Ratios are of medians.",
                findings=(
                    Finding(
                        rule="R9",
                        level=Level.WARNING,
                        subject="training/tiny/r8",
                        text="a spike",
                        numbers={"peak": 8.5},
                    ),
                ),
                figures=(
                    Chart(name="loss", title="Losses", caption="n = 6 reports", alt="It falls from 4 to 2.", panels=()),
                    Chart(name="memory", title="Memory", caption="", alt="Nothing was measured.", panels=()),
                ),
                tables=(SPEED, Table(columns=("a",), rows=())),
            ),
            Section(
                name="answers",
                title="Answers",
                listings=(Listing(title="Say hi.", text="```\nhi\n\n  there\n"), Listing(title="Bye.", text="")),
                detail=True,
            ),
            Section(name="nothing", title="Nothing"),
        ),
        not_measured=("power_w", "test_loss"),
        definitions=Table(
            columns=("metric", "unit", "definition"),
            rows=((cell("ttft_s", State.CODE), cell("s"), cell("Time to the first token.")),),
        ),
        provenance=Provenance(
            kind="comparison",
            version="0.1",
            sources=(
                Source(run="20260102-030405-abcd", path="results/20260102-030405-abcd", schema=1, sha256="ab" * 32),
            ),
            policy_sha256="cd" * 32,
            templates_sha256="ef" * 32,
        ),
    )


# Fields whose text a page does not show, or not literally: keys, file names and the numbers behind the texts.
UNSHOWN = {"kind", "name", "numbers", "unit", "verdict", "winners", "sha256", "policy_sha256", "templates_sha256"}


def with_text(value, text, visible_texts, name=""):
    """Return *value* with every text replaced by *text* and a number; append those a page shows to *visible_texts*."""
    if isinstance(value, Table) and not value.rows:
        return value
    if is_dataclass(value):
        return replace(
            value,
            **{
                field.name: with_text(getattr(value, field.name), text, visible_texts, field.name)
                for field in fields(value)
            },
        )
    if isinstance(value, tuple):
        return tuple(with_text(item, text, visible_texts, name) for item in value)
    if isinstance(value, Enum) or not isinstance(value, str):
        return value
    marked = f"{text} no{len(visible_texts)}."
    if name not in UNSHOWN:
        visible_texts.append(marked)
    return marked
