import pytest

from harness.analysis.report_policy import CardText
from harness.analysis.stats.estimates import median_interval
from harness.report.kinds.cards import cards, cards_report, sections
from harness.report.sections.model_card import _INDEXED, _SHOWN
from harness.results.metrics import DEFINITIONS
from harness.results.records import Published, Status
from tests.support.samples import bundle, failed, full_record, key, measured, record, weights

hub = pytest.importorskip("huggingface_hub")  # reads what is written here, by its own rules

HOSTILE = 'x"\n---\nlicense: mit\n<script>alert(1)</script> [a](javascript:b) `c` | @d\x1b[31m'
DATASET = {
    "name": "hf:org/rows@main",
    "form": "chat",
    "sha256": "c" * 64,
    "rows": {"train": 8, "test": 5},
    "revision": "9f",
}
ADAPTER = {"name": "r8", "kind": "lora", "rank": 8}
LOSSES = [2.0, 2.1, 2.2, 2.3, 2.4]
COUNTS = {"rows": 5, "tokens": 1601, "shortest_tokens": 113, "median_tokens": 118.0, "longest_tokens": 130}


def evaluated(case="evaluation/tiny/r8", *, adapter=ADAPTER, **changes):
    metrics = {
        "test_loss": measured("test_loss", *LOSSES),
        "bits_per_byte": measured("bits_per_byte", 1.25),
        "test_perplexity": measured("test_perplexity", reason="no rows"),
    }
    hostile_key = key(adapter=adapter, dataset=DATASET, settings={"prompts": 5})
    return record(case, **{"metrics": metrics, "key": hostile_key, "data": {"test": COUNTS}, **changes})


def trained(case="training/tiny/r8", **changes):
    hostile_key = key(adapter=ADAPTER, dataset=DATASET, settings={"iters": 20, "max_seq_length": 512})
    metrics = {"train_wall_s": measured("train_wall_s", 90.0), "peak_active_bytes": PEAKS}
    return record(case, **{"metrics": metrics, "key": hostile_key, "data": {"train": COUNTS}, **changes})


PEAKS = measured("peak_active_bytes", (1.0, 2.0), labels=("train", "probe"))


def made(*records, licenses=None, author_text=CardText(), **run):  # noqa: B008 - it is frozen
    return cards([bundle(*records, **run)], licenses or {}, author_text)


def model(*records, **others):
    return next(card for card in made(*records, **others) if card.kind == "model")


def data(*records):
    return next(card for card in made(*records) if card.kind == "data")


def read(card):
    return hub.ModelCard(card.text).data


def part(card, title):
    return next(part for part in card.parts if part.title == title)


def cells(table):
    return [tuple(cell.text for cell in row) for row in table.rows]


# --- what the hub reads ---


def test_the_hub_reads_base_model_library_license_data_and_tags():
    front = read(model(trained(), evaluated(), licenses={"tiny": "Apache-2.0"})).to_dict()
    assert {
        name: front[name] for name in ("base_model", "library_name", "pipeline_tag", "license", "datasets", "tags")
    } == {
        "base_model": "org/tiny",
        "library_name": "mlx",
        "pipeline_tag": "text-generation",
        "license": "apache-2.0",
        "datasets": ["org/rows"],
        "tags": ["mlx", "tunebench", "lora"],
    }


def test_the_hub_reads_each_loss_that_was_measured_with_its_interval_among_the_arguments():
    results = {result.metric_name: result for result in read(model(trained(), evaluated())).eval_results}
    assert list(results) == ["test_loss", "bits_per_byte"]
    loss = results["test_loss"]
    assert (loss.metric_type, loss.metric_value, loss.task_type) == ("loss", 2.2, "text-generation")
    assert (loss.dataset_type, loss.dataset_name, loss.dataset_split) == ("org/rows", "hf:org/rows@main", "test")
    assert loss.dataset_revision == "9f"
    assert loss.metric_args == {
        "statistic": "median",
        "processes": 5,
        "unit": "nat/token",
        "low": 2.0,
        "high": 2.4,
        "confidence": median_interval(LOSSES).confidence,
    }
    assert results["bits_per_byte"].metric_args == {"statistic": "median", "processes": 1, "unit": "bit/byte"}


def test_nothing_is_ever_called_verified():
    card = model(trained(), evaluated())
    assert "verif" not in card.text.lower()
    assert {result.verified for result in read(card).eval_results} == {None}


@pytest.mark.parametrize("source", ["nano", "random"])
def test_stand_in_weights_get_no_results_on_the_hub_and_say_so_on_top(source):
    hostile_key = key(weights=weights(source=source), dataset=DATASET)
    card = model(trained(), evaluated(key=hostile_key))
    assert "model-index" not in card.text
    assert card.banner.startswith(f"STAND-IN WEIGHTS ({source}): not those of tiny")
    assert card.text.index("> STAND-IN WEIGHTS") < card.text.index("## Details")
    assert model(trained(), evaluated()).banner is None


def test_figures_read_in_a_report_are_no_results_of_this_program():
    card = model(trained(), evaluated(), published=Published(source="S4", date=None))
    assert "model-index" not in card.text
    assert part(card, "Results").words.startswith("Read in S4, and not measured by this program.")


def test_an_evaluation_that_failed_has_no_results_and_says_how_it_ended():
    broken = evaluated(status=Status.INVALID, reason="not equal")
    card = model(trained(), broken)
    assert "model-index" not in card.text
    assert ("evaluation", "–", "invalid: not equal") in cells(part(card, "Results").table)


@pytest.mark.parametrize(
    ("base", "authors", "license_id", "name"),
    [
        ("MIT", None, "mit", None),
        ("Gemma Terms of Use", None, "gemma", None),
        ("Llama 3.2 Community", None, "llama3.2", None),
        ("Odd Licence 1", None, "other", "Odd Licence 1"),
        ("MIT", "Apache-2.0", "apache-2.0", None),
        (None, None, None, None),
    ],
)
def test_the_license_is_the_authors_or_else_the_base_models(base, authors, license_id, name):
    card = model(trained(), licenses={"tiny": base}, author_text=CardText(license=authors))
    front = read(card).to_dict()
    assert (front.get("license"), front.get("license_name")) == (license_id, name)
    words = part(card, "Licence").words
    assert words == f"Of the base model: {base or 'not known'}. Of what is published with this card: " + (
        authors or "Not provided by the author."
    )


def test_what_is_not_known_is_left_out_of_the_head():
    hostile_key = key(weights=weights(source="path", repository=None), dataset={"name": "aphorisms"})
    front = model(trained(key=hostile_key)).front
    assert "base_model" not in front
    assert "license" not in front
    assert "datasets" not in front  # not on the hub


# --- what people read ---


def test_an_author_is_quoted_and_never_guessed():
    author_text = CardText(intended_use="Aphorisms.", limitations="English alone.\n\nShort.", ethics=None)
    card = model(trained(), author_text=author_text)
    assert "## Intended use\n\nAphorisms.\n" in card.text
    assert "## Limitations\n\nEnglish alone.\n\nShort.\n" in card.text
    assert "## Ethical considerations\n\nNot provided by the author.\n" in card.text


def test_results_hold_every_label_of_the_work_with_n_and_the_reason_of_what_is_missing():
    card = model(trained(), evaluated())
    table = part(card, "Results").table
    rows = cells(table)
    assert ("test_loss", "–", "2.200 [2.000, 2.400] nat/token (n=5)") in rows
    assert ("peak_active_bytes", "train", "1 B (n=1)") in rows
    assert "probe" not in {row[1] for row in rows}
    assert ("test_perplexity", "–", "not measured") in rows
    assert table.notes == ("no rows",)
    assert "| not measured \\[1] |" in card.text
    assert "\\[1] no rows" in card.text


def test_the_procedure_is_the_settings_of_the_training():
    assert cells(part(model(trained(), evaluated()), "Training procedure").table) == [
        ("iters", "20"),
        ("max_seq_length", "512"),
    ]
    names = [part.title for part in model(record("inference/tiny/base")).parts]
    assert "Training procedure" not in names


def test_details_hold_no_settings_and_the_origin_holds_versions():
    card = model(trained(), evaluated())
    facts = dict(cells(part(card, "Details").table))
    assert (facts["adapter rank"], facts["repository"]) == ("8", "org/tiny")
    assert not [name for name in facts if "iters" in name or "prompts" in name]
    origin = dict(cells(part(card, "How this card was made").table))
    assert (origin["mlx"], origin["mlx-lm"], origin["operating system"]) == ("0.31.0", "unknown", "Linux 6.1")


def test_a_run_without_an_environment_still_gives_cards():
    (card,) = cards([bundle(record(), environment=None)], {}, CardText())
    assert dict(cells(part(card, "How this card was made").table))["mlx"] == "unknown"


# --- which cards ---


def test_adapters_and_models_without_one_get_cards_and_each_data_set_one():
    all_cards = made(
        trained(),
        evaluated(),
        evaluated("evaluation/tiny/base", adapter=None),
        record("inference/other/base"),
        record("inference/other/base-4bit"),
        failed("inference/gone/base"),
    )
    assert [(card.name, card.kind) for card in all_cards] == [
        ("tiny/r8", "model"),
        ("other/base", "model"),
        ("other/base-4bit", "model"),
        ("hf:org/rows@main", "data"),
    ]


def test_files_have_names_of_their_own_even_for_equal_cards():
    runs = [bundle(trained()), bundle(trained(), id="20260102-030405-ef01")]
    names = [card.file_name for card in cards(runs, {}, CardText())]
    assert names == ["model-card-tiny-r8.md", "model-card-tiny-r8-2.md", "data-card-hf-org-rows-main.md"]


def test_a_data_card_counts_rows_by_split_and_tokens_by_model():
    card = data(trained(), evaluated())
    assert cells(part(card, "Rows").table) == [("train", "8"), ("test", "5")]
    assert cells(part(card, "As tokens").table) == [
        ("test", "tiny", "b" * 12, "none", "5", "1,601", "113", "118", "130", "–", "–", "–"),
        ("train", "tiny", "b" * 12, "512", "5", "1,601", "113", "118", "130", "–", "–", "–"),
    ]
    assert [row[0] for row in cells(part(card, "Details").table)] == ["name", "form", "sha256", "revision"]
    assert "| split | rows |\n| --- | --- |\n| train | 8 |\n" in card.text
    assert part(card, "Bias").words == "Not provided by the author."


def test_the_same_rows_are_counted_for_each_tokenizer_and_once_for_each():
    other = key(model="other", tokenizer="e" * 64, dataset=DATASET)
    card = data(evaluated(), evaluated("evaluation/tiny/r16"), evaluated("evaluation/other/r8", key=other))
    assert [row[1] for row in cells(part(card, "As tokens").table)] == ["other", "tiny"]


def test_data_sets_of_one_name_and_other_rows_have_cards_of_their_own():
    changed = key(adapter=ADAPTER, dataset={**DATASET, "sha256": "d" * 64})
    data_cards = [card for card in made(trained(), trained("training/tiny/r16", key=changed)) if card.kind == "data"]
    assert [card.file_name for card in data_cards] == [
        "data-card-hf-org-rows-main.md",
        "data-card-hf-org-rows-main-2.md",
    ]


@pytest.mark.parametrize(
    ("rows", "size"), [({"train": 999}, "n<1K"), ({"train": 999, "test": 1}, "1K<n<10K"), ({"train": 10**8}, "10M<n")]
)
def test_a_data_card_says_its_size_in_the_hubs_words(rows, size):
    hostile_key = key(dataset={**DATASET, "rows": rows})
    assert hub.DatasetCard(data(trained(key=hostile_key)).text).data.size_categories == [size]


def test_a_data_set_of_which_no_rows_are_recorded_says_so():
    card = data(trained(key=key(dataset={"name": "odd"}), data=None))
    assert part(card, "Rows").words == "Not recorded."
    assert "size_categories" not in card.front


# --- whoever writes the names ---


def test_hostile_names_change_nothing_but_the_name():
    hostile_key = key(
        weights=weights(repository=HOSTILE),
        dataset={**DATASET, "name": f"hf:{HOSTILE}"},
        adapter={**ADAPTER, "kind": HOSTILE},
        device=HOSTILE,
    )
    for card in made(trained(key=hostile_key), evaluated(key=hostile_key), author_text=CardText(ethics=HOSTILE)):
        head, body = card.text[: len(card.front)], card.text[len(card.front) :]
        assert head.count("\n---\n") == 1
        assert "license" not in read(card).to_dict()
        for markup in ("<script", "](javascript", "`c`", "\x1b", "\n---\n", " @d"):
            assert markup not in body
    plain = model(trained(key=hostile_key), evaluated(key=hostile_key))
    assert read(plain).to_dict()["base_model"] == HOSTILE


def test_a_file_name_is_a_name_and_no_path():
    dataset = {**DATASET, "name": "path:../../etc/passwd"}
    assert data(trained(key=key(dataset=dataset))).file_name == "data-card-path-..-..-etc-passwd.md"
    assert data(trained(key=key(dataset={**DATASET, "name": "/"}))).file_name == "data-card-unnamed.md"


# --- the page ---


def test_the_page_shows_each_card_with_its_tables_and_its_head():
    all_cards = made(trained(), evaluated())
    card_sections = list(sections(all_cards))
    assert [section.title for section in card_sections] == ["Model card of tiny/r8", "Data card of hf:org/rows@main"]
    assert [section.name for section in card_sections] == ["card-1", "card-2"]
    assert card_sections[0].listings[0].text == all_cards[0].front
    assert [table.caption for table in card_sections[0].tables] == [
        "Details", "Training procedure", "Results", "How this card was made",
    ]  # fmt: skip
    assert "Intended use: Not provided by the author." in card_sections[0].text


def test_the_report_counts_its_cards():
    report = cards_report([bundle(trained(), evaluated())], {}, CardText())
    assert (report.kind, report.headline[-1]) == ("cards", "1 model card and 1 data card.")
    assert cards_report([bundle(failed())], {}, CardText()).headline[-1] == "0 model cards and 0 data cards."


def test_every_metric_a_card_shows_exists():
    assert {*_INDEXED, *(name for names in _SHOWN.values() for name in names)} <= DEFINITIONS.keys()


def test_a_record_of_every_field_gives_a_card():
    assert "hub" in model(full_record()).text


def test_a_smoke_run_gives_the_hub_no_results_and_says_why_on_top():
    card = model(evaluated(), profile="smoke")
    assert "model-index" not in card.front
    assert card.banner.startswith("SMOKE SIZE: measured to see that everything runs")
    assert "model-index" in model(evaluated()).front
    assert model(evaluated()).banner is None


def test_of_failures_alone_there_is_no_model_card():
    assert [card.kind for card in made(failed("training/tiny/r8", key=key(adapter=ADAPTER, dataset=DATASET)))] == [
        "data"
    ]
