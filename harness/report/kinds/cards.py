"""Model cards and data cards in the format of the Hugging Face hub, and the report that shows them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.limits import Entry, entries
from harness.analysis.report_policy import CardText
from harness.report.page import Listing, Report, Section
from harness.report.sections import assemble_report
from harness.report.sections.card import Card
from harness.report.sections.data_card import data_card
from harness.report.sections.model_card import model_card
from harness.results.records import Bundle, Record, Status
from harness.units import count_of

KIND = "cards"
_LONGEST = 100  # characters of a file name, before its kind and number
_MOST_SHOWN = 20  # cards on one page


def cards(bundles: Sequence[Bundle], licenses: Mapping[str, str | None], author_text: CardText) -> tuple[Card, ...]:
    """Write a card for every tuned model, for every base model measured without a tuned one, and for every data set.

    *licenses* maps the name of a base model to its license; *author_text* is what the author adds to the cards.
    """
    taken: set[str] = set()
    made: list[Card | None] = []
    for bundle in bundles:
        for entry in _with_own_card(_with_result(entries(bundle.records))):
            file_name = _file_name("model", entry.name, taken)
            base_license = next(
                (licenses.get(record.key.model) for record in entry.records.values() if record.key), None
            )
            made.append(
                model_card(entry, bundle, file_name=file_name, base_license=base_license, author_text=author_text)
            )
    for name, records in _by_data(bundles).items():
        made.append(data_card(records, file_name=_file_name("data", name[0], taken)))
    return tuple(card for card in made if card is not None)


def cards_report(bundles: Sequence[Bundle], licenses: Mapping[str, str | None], author_text: CardText) -> Report:
    """Build the report that shows each card as a section. `Card.text` is the content of the card's file."""
    made = cards(bundles, licenses, author_text)
    models = sum(card.kind == "model" for card in made)
    headline = f"{count_of(models, 'model card')} and {count_of(len(made) - models, 'data card')}."
    left_out = (
        f"The first {_MOST_SHOWN} are shown here; each is a file of its own." if len(made) > _MOST_SHOWN else None
    )
    runs = assemble_report.runs_of(bundles)
    return assemble_report.assemble(KIND, runs, sections(made[:_MOST_SHOWN]), headline=(headline, left_out))


def sections(made: Sequence[Card]) -> Iterator[Section]:
    """Write a section per card: its banner and texts, its tables, and the YAML block that the hub reads."""
    for number, card in enumerate(made, start=1):
        texts = [f"{part.title}: {part.words}" for part in card.parts if part.words]
        yield Section(
            name=f"card-{number}",
            title=f"{card.kind.capitalize()} card of {card.name}",
            text=" ".join([*([card.banner] if card.banner else []), *texts]),
            tables=tuple(part.table for part in card.parts if part.table is not None),
            listings=(Listing(title=f"Head of {card.file_name}", text=card.front),),
        )


def _with_own_card(field: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries that could be published: tuned models, and base models without a tuned one."""
    tuned = {_model(entry) for entry in field if not _is_base(entry)}
    yield from (entry for entry in field if not (_is_base(entry) and _model(entry) in tuned))


def _with_result(field: Sequence[Entry]) -> list[Entry]:
    """Keep the entries of which at least one case ended ok."""
    return [entry for entry in field if any(record.status is Status.OK for record in entry.records.values())]


def _model(entry: Entry) -> str:
    return entry.case_id.model


def _is_base(entry: Entry) -> bool:
    return entry.case_id.is_base


def _by_data(bundles: Sequence[Bundle]) -> dict[tuple[str, str], list[Record]]:
    """Group the records by the data set they used, identified by its name and hash."""
    records_by_data: dict[tuple[str, str], list[Record]] = {}
    for record in (record for bundle in bundles for record in bundle.records):
        if record.key and record.key.dataset:
            facts = record.key.dataset
            name_and_hash = str(facts.get("name", "unnamed")), str(facts.get("sha256", ""))
            records_by_data.setdefault(name_and_hash, []).append(record)
    return records_by_data


def _file_name(kind: str, name: str, taken: set[str]) -> str:
    """Return a file name that is not in *taken*, and add its stem there. It is never a path, whatever *name* holds."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower())[:_LONGEST].strip("-.") or "unnamed"
    stem, number = f"{kind}-card-{slug}", 1
    while stem in taken:
        number += 1
        stem = f"{kind}-card-{slug}-{number}"
    taken.add(stem)
    return f"{stem}.md"
