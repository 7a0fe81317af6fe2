"""Model cards and data cards of runs, in the hub's format, and the page that shows them. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.limits import Entry, entries
from harness.analysis.report_policy import CardText
from harness.inputs.plans import BASE
from harness.report.page import Listing, Report, Section
from harness.report.sections import page_frame
from harness.report.sections.card import Card
from harness.report.sections.data_card import data_card
from harness.report.sections.model_card import model_card
from harness.results.records import Bundle, Record, Status

KIND = "cards"
_LONGEST = 100  # characters of a file's name
_MOST_SHOWN = 20  # cards on one page


def cards(bundles: Sequence[Bundle], licenses: Mapping[str, str | None], said: CardText) -> tuple[Card, ...]:
    """A card of every model with an adapter, of every model that was measured bare alone, and of every data set.

    *licenses* are the base models', by name; *said* is what the author has to say.
    """
    taken: set[str] = set()
    found = []
    for bundle in bundles:
        for entry in _published(_that_ended(entries(bundle.records))):
            file_name = _file_name("model", entry.name, taken)
            base_license = next((licenses.get(its.key.model) for its in entry.records.values() if its.key), None)
            found.append(model_card(entry, bundle, file_name=file_name, base_license=base_license, said=said))
    for name, records in _by_data(bundles).items():
        found.append(data_card(records, file_name=_file_name("data", name[0], taken)))
    return tuple(card for card in found if card is not None)


def cards_report(bundles: Sequence[Bundle], licenses: Mapping[str, str | None], said: CardText) -> Report:
    """A page with each card as a section. The files are `Card.text`."""
    made = cards(bundles, licenses, said)
    models = sum(card.kind == "model" for card in made)
    headline = f"{_counted(models, 'model card')} and {_counted(len(made) - models, 'data card')}."
    left_out = (
        f"The first {_MOST_SHOWN} are shown here; each is a file of its own." if len(made) > _MOST_SHOWN else None
    )
    shown = sections(made[:_MOST_SHOWN])
    return page_frame.report(KIND, page_frame.runs_of(bundles), shown, headline=(headline, left_out))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def sections(made: Sequence[Card]) -> Iterator[Section]:
    """One section a card: its banner and words, its tables, and the block that the hub reads."""
    for number, card in enumerate(made, start=1):
        words = [f"{part.title}: {part.words}" for part in card.parts if part.words]
        yield Section(
            name=f"card-{number}",
            title=f"{card.kind.capitalize()} card of {card.name}",
            text=" ".join([*([card.banner] if card.banner else []), *words]),
            tables=tuple(part.table for part in card.parts if part.table is not None),
            listings=(Listing(title=f"Head of {card.file_name}", text=card.front),),
        )


def _published(field: Sequence[Entry]) -> Iterator[Entry]:
    """What somebody could publish: adapters, and bare models that no adapter was trained on."""
    adapted = {_model(entry) for entry in field if not _is_bare(entry)}
    yield from (entry for entry in field if not (_is_bare(entry) and _model(entry) in adapted))


def _that_ended(field: Sequence[Entry]) -> list[Entry]:
    """Those of which a case ended ok: there is nothing to say of the others."""
    return [its for its in field if any(record.status is Status.OK for record in its.records.values())]


def _model(entry: Entry) -> str:
    return entry.name.partition("/")[0]


def _is_bare(entry: Entry) -> bool:
    variant = entry.name.partition("/")[2]
    return variant == BASE or variant.startswith(f"{BASE}-")


def _by_data(bundles: Sequence[Bundle]) -> dict[tuple[str, str], list[Record]]:
    """The records that used each data set, by its name and hash."""
    found: dict[tuple[str, str], list[Record]] = {}
    for record in (its for bundle in bundles for its in bundle.records):
        if record.key and record.key.dataset:
            facts = record.key.dataset
            found.setdefault((str(facts.get("name", "unnamed")), str(facts.get("sha256", ""))), []).append(record)
    return found


def _file_name(kind: str, name: str, taken: set[str]) -> str:
    """A file name that no other card has; a name alone, whatever *name* holds."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower())[:_LONGEST].strip("-.") or "unnamed"
    stem, number = f"{kind}-card-{slug}", 1
    while stem in taken:
        number += 1
        stem = f"{kind}-card-{slug}-{number}"
    taken.add(stem)
    return f"{stem}.md"
