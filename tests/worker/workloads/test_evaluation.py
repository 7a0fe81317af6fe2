import json
import math
from dataclasses import replace

import mlx.core as mx
import pytest
from mlx.utils import tree_map
from tokenizers import AddedToken

from harness.errors import BadConfig
from harness.inputs.config_files import read_adapter
from harness.inputs.datasets import read_dataset
from harness.inputs.plans import Job, Work
from harness.inputs.prompts import Prompt
from harness.worker import mlxlm
from harness.worker.probe import Roof
from harness.worker.workloads import evaluation
from harness.worker.workloads.context import Context
from harness.worker.workloads.evaluation import ScoredSpan, answer, answer_span, bits_per_byte, text_span

TALK = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Därum, 12."}]


def span(start, end, its_bytes):
    return ScoredSpan(start=start, end=end, bytes=its_bytes)


def spanned(tokenizer, talk):
    tokens = mlxlm.conversation_tokens(tokenizer, talk)
    return tokens, answer_span(tokenizer, talk, tokens)


def test_a_model_that_guesses_bytes_needs_eight_bits_a_byte():
    """Each token is a byte and costs ln 256; what stands around the answer costs more and does not count."""
    spans = [span(3, 8, 5), span(1, 2, 1)]
    nll = [[99.0, 99.0, *[math.log(256)] * 5, 77.0], [math.log(256), 55.0]]
    assert bits_per_byte(spans, nll).values == (pytest.approx(8.0),)


def test_bits_are_over_all_bytes_and_not_a_mean_of_rows():
    """16 bits for 4 bytes and 2 bits for 8 bytes are 18 bits for 12 bytes."""
    nll = [[8 * math.log(2), 8 * math.log(2), 0.0], [math.log(2), math.log(2), 0.0]]
    assert bits_per_byte([span(1, 3, 4), span(1, 3, 8)], nll).values == (pytest.approx(1.5),)


def test_a_row_whose_answer_cannot_be_told_apart_is_named():
    readings = bits_per_byte([span(1, 3, 4), None], [[1.0, 1.0, 1.0], [1.0]])
    assert readings.values == ()
    assert readings.reason.startswith("test row 2: ")


@pytest.mark.parametrize("name", ["smollm2", "tinyllama", "qwen", "gpt2"])
def test_the_answer_s_tokens_are_the_answer_and_nothing_around_it(load_nano, name):
    tokenizer = load_nano(name).tokenizer
    tokens, value = spanned(tokenizer, TALK)
    assert tokenizer.decode(tokens[value.start : value.end]).strip() == "Därum, 12."
    assert value.bytes == 11
    assert tokens[value.end] in tokenizer.eos_token_ids


def test_only_the_last_answer_counts(load_nano):
    tokenizer = load_nano("qwen").tokenizer
    talk = [*TALK, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "So."}]
    tokens, value = spanned(tokenizer, talk)
    assert tokenizer.decode(tokens[value.start : value.end]) == "So."
    assert value.bytes == 3


class Tokenizer:
    """A character a token, and 0 for the end of a turn; *join* is what the template puts before an answer."""

    eos_token_ids = frozenset({0})
    added_tokens_decoder = {0: AddedToken("end", special=True), ord("y"): AddedToken("y", special=False)}  # noqa: RUF012

    def __init__(self, opening):
        self.opening = opening

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt):
        text = "".join(message["content"] + "\0" for message in messages)
        return text + (self.opening if add_generation_prompt else "")

    def encode(self, text, *, add_special_tokens):
        return [ord(character) for character in text]


def test_an_answer_ends_before_the_first_token_that_is_not_text():
    assert spanned(Tokenizer(""), [{"content": "ab"}, {"content": "cde"}])[1] == span(3, 6, 3)


def test_an_added_token_that_is_text_does_not_end_an_answer():
    assert spanned(Tokenizer(""), [{"content": "ab"}, {"content": "cyd"}])[1] == span(3, 6, 3)


def test_a_prompt_that_does_not_open_the_conversation_hides_the_answer():
    assert spanned(Tokenizer("?"), [{"content": "ab"}, {"content": "cde"}])[1] is None


def test_an_empty_answer_has_no_tokens():
    assert spanned(Tokenizer(""), [{"content": "ab"}, {"content": ""}])[1] is None


@pytest.mark.parametrize(
    ("name", "opening"),
    [("tinyllama", "<s>"), ("gemma-270m", "<bos>"), ("llama-1b", "<|begin_of_text|>"), ("qwen", "D")],
)
def test_of_a_text_all_that_is_predicted_is_scored_and_nothing_around_it(load_nano, name, opening):
    """Behind a begin of sequence that is all of it; without one, all but what the first token stands for."""
    tokenizer, text = load_nano(name).tokenizer, "Därum, twelve of them."
    tokens = mlxlm.text_tokens(tokenizer, text)
    result = text_span(tokenizer, text, tokens)
    assert tokens[-1] == tokenizer.eos_token_id
    assert (result.start, result.end) == (1, len(tokens) - 1)
    assert tokenizer.decode(tokens[:1]) == opening
    assert tokenizer.decode(tokens[result.start : result.end]).strip() == (text[1:] if opening == "D" else text)
    assert result.bytes == (22 if opening == "D" else 23)


@pytest.mark.parametrize(("text", "skipped", "scored_bytes"), [("漢字 and more", 3, 12), ("漢", 3, 0), ("D", 1, 0)])
def test_a_first_token_that_is_part_of_a_character_is_left_out_with_the_rest_of_it(
    load_nano, text, skipped, scored_bytes
):
    """The stand-in knows no Chinese: a token a byte, three a character. 6 + 9 bytes less the first 3."""
    tokenizer = load_nano("qwen").tokenizer
    tokens = mlxlm.text_tokens(tokenizer, text)
    result = text_span(tokenizer, text, tokens)
    assert (result.start, result.end, result.bytes) == (skipped, len(tokens) - 1, scored_bytes)
    assert tokenizer.decode(tokens[result.start : result.end]) == text[1:]


def test_a_text_without_anything_to_predict_has_no_bits():
    """A begin and an end with nothing in between cost nothing and stand for nothing."""
    assert bits_per_byte([span(1, 1, 0)], [[]]).reason == "no test row has text after its first token"
    assert bits_per_byte([span(1, 1, 0), span(1, 2, 2)], [[], [2 * math.log(2), 9.0]]).values == (pytest.approx(1.0),)


PROMPT = Prompt(id="p-1", text="Why?")


def test_an_answer_that_ends_by_itself_stops_there(load_nano):
    """With all weights zero the first token is taken each time, and it is GPT-2's end of text."""
    loaded = load_nano("gpt2")
    loaded.model.update(tree_map(mx.zeros_like, loaded.model.parameters()))
    output = answer(loaded, PROMPT, 5)
    assert (output.finish_reason, output.text, output.output_tokens) == ("stop", "", 0)
    assert (output.prompt_id, output.prompt) == ("p-1", "Why?")
    assert output.prompt_tokens == len(loaded.tokenizer.encode("User: Why?\nAnswer:", add_special_tokens=False))


def test_an_answer_that_does_not_end_is_cut_at_the_limit(load_nano, monkeypatch):
    loaded = load_nano("gpt2")
    words = loaded.tokenizer.encode(" and", add_special_tokens=False)
    monkeypatch.setattr(mlxlm, "generate", lambda model, tokens, limit: iter(words * limit))
    output = answer(loaded, PROMPT, 3)
    assert (output.finish_reason, output.text) == ("length", " and and and")
    assert output.output_tokens == 3 * len(words)


def context_for(nano, profile, stopwatch, **job):
    progress = []
    context = Context(
        job=Job(work=Work.EVALUATION, ready=nano("tinyllama"), profile=profile, **job),
        device="cpu: test",
        progress=lambda *values: progress.append(values),
        stopwatch=stopwatch,
    )
    return context, progress


def one(sample, name):
    (value,) = sample.readings[name].values
    return value


def test_the_bare_model_is_scored_on_every_test_row(nano, load_nano, tiny_profile, stepping_stopwatch):
    """The same by another way: row by row, with the template written out by hand."""
    context, progress = context_for(nano, tiny_profile, stepping_stopwatch)
    sample = evaluation.measure(context)
    loaded = load_nano("tinyllama")
    nats, targets, answer_nats, answer_bytes = 0.0, 0, 0.0, 0
    for said in read_dataset("aphorisms").splits["test"]:
        question, reply = (item["content"] for item in said["messages"])
        pieces = [f"<|user|>\n{question}</s>\n<|assistant|>\n", reply, "</s>\n"]
        opening, words, closing = (loaded.tokenizer.encode(piece, add_special_tokens=False) for piece in pieces)
        tokens = [*opening, *words, *closing]
        logits = loaded.model(mx.array([tokens]))[0, :-1]
        chosen = mx.take_along_axis(logits, mx.array(tokens[1:])[:, None], axis=-1)[:, 0]
        losses = (mx.logsumexp(logits, axis=-1) - chosen).tolist()
        nats, targets = nats + sum(losses), targets + len(losses)
        answer_nats += sum(losses[len(opening) - 1 : len(opening) + len(words) - 1])
        answer_bytes += len(reply.encode())
    assert one(sample, "test_loss") == pytest.approx(nats / targets, rel=1e-6)
    assert one(sample, "test_perplexity") == pytest.approx(math.exp(nats / targets), rel=1e-5)
    assert one(sample, "bits_per_byte") == pytest.approx(answer_nats / math.log(2) / answer_bytes, rel=1e-6)
    assert progress == [(n, 5, "answers") for n in (1, 2, 3, 4, 5)]
    assert sample.readings["peak_active_bytes"].labels == ("load", "probe", "evaluate", "generate")
    assert one(sample, "probe_gemm_flops_per_s") > 0
    assert one(sample, "probe_copy_bytes_per_s") > 0
    assert sample.key.adapter is None
    assert sample.key.settings == {"max_answer_tokens": 4, "prompts": 5}
    assert sample.key.dataset["name"] == "aphorisms"


def test_a_test_row_that_the_chat_template_refuses_is_named(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    def refusing(*_):
        raise mlxlm.TemplateRefused("no")

    monkeypatch.setattr(mlxlm, "conversation_tokens", refusing)
    with pytest.raises(BadConfig, match=r"5 problems\n  test row 1: no\n"):
        evaluation.measure(context_for(nano, tiny_profile, stepping_stopwatch)[0])


def test_every_prompt_has_one_answer_and_the_readings_are_those_of_the_answers(
    nano, tiny_profile, stepping_stopwatch, monkeypatch
):
    """Of five answers two stop by themselves, one writes markup; their words are counted between blanks."""
    texts = iter([" one  two\nthree", "", "four", " five <|im_end|>", "seven"])
    stops = iter([True, False, False, True, False])

    def scripted(loaded, prompt, max_tokens):
        assert max_tokens == 4
        output = real(loaded, prompt, max_tokens)
        return replace(output, text=next(texts), finish_reason="stop" if next(stops) else "length")

    real = evaluation.answer
    monkeypatch.setattr(evaluation, "answer", scripted)
    sample = evaluation.measure(context_for(nano, tiny_profile, stepping_stopwatch)[0])
    assert len({item.prompt_id for item in sample.outputs}) == 5
    assert (one(sample, "eos_rate"), one(sample, "leak_rate")) == (0.4, 0.2)
    assert sample.readings["response_words"].values == (3.0, 0.0, 1.0, 2.0, 1.0)


def test_an_adapter_changes_what_is_measured_and_stands_in_the_key(
    nano, load_nano, tiny_profile, stepping_stopwatch, tmp_path
):
    adapter = read_adapter("qv-r8")
    loaded = load_nano("tinyllama")
    mlxlm.seed_everything(1)
    attached = mlxlm.attach_adapter(loaded.model, adapter, "llama")
    loaded.model.update(tree_map(lambda array: array + 0.02, loaded.model.trainable_parameters()))
    mlxlm.save_adapter(loaded.model, attached, tmp_path)
    base = evaluation.measure(context_for(nano, tiny_profile, stepping_stopwatch)[0])
    sample = evaluation.measure(
        context_for(nano, tiny_profile, stepping_stopwatch, adapter=adapter, adapter_dir=str(tmp_path))[0]
    )
    assert abs(one(sample, "test_loss") - one(base, "test_loss")) > 1e-3
    assert sample.key.adapter == attached.facts() | {"training": tiny_profile.training.facts()}
    assert sample.key.adapter["training"]["learning_rate"] == 3e-3


def test_what_the_machine_can_do_is_told_where_it_was_measured(nano, tiny_profile, stepping_stopwatch):
    context, _ = context_for(nano, tiny_profile, stepping_stopwatch)
    context._roof = Roof(gemm_flops_per_s=3.0, copy_bytes_per_s=2.0, method="made up")
    assert one(evaluation.measure(context), "probe_gemm_flops_per_s") == 3.0


def test_texts_are_scored_and_nothing_is_asked(nano, load_nano, tiny_profile, stepping_stopwatch, tmp_path):
    """The same by another way: the text row by row, without the template of a chat."""
    said = ["Bread goes stale.", "Canals are dug, rivers are not."]
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in said))
    plan = replace(tiny_profile.training, dataset=f"path:{tmp_path}")
    context, progress = context_for(nano, replace(tiny_profile, training=plan), stepping_stopwatch)
    sample = evaluation.measure(context)
    loaded = load_nano("tinyllama")
    losses, inside = [], []
    for text in said:
        tokens = [*loaded.tokenizer.encode(text), loaded.tokenizer.eos_token_id]
        logits = loaded.model(mx.array([tokens]))[0, :-1]
        chosen = mx.take_along_axis(logits, mx.array(tokens[1:])[:, None], axis=-1)[:, 0]
        result = (mx.logsumexp(logits, axis=-1) - chosen).tolist()
        losses, inside = losses + result, inside + result[:-1]
    assert one(sample, "test_loss") == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    assert one(sample, "bits_per_byte") == pytest.approx(sum(inside) / math.log(2) / (17 + 31), rel=1e-6)
    for name in ("eos_rate", "leak_rate", "copied_share", "response_words"):
        assert sample.readings[name].reason == "the rows are text, so nothing is asked"
    assert (sample.outputs, progress, sample.key.settings["prompts"]) == ((), [], 0)
    assert sample.key.dataset["form"] == "text"
    assert (sample.data["test"]["rows"], sample.data["test"]["text_bytes"]) == (2, 48)
    assert sample.data["test"]["targets"] == len(losses)
    assert sample.data["test"]["truncated_rows"] == 0
    assert sample.data["test"]["rows_in_training"] == 2  # the splits are the same two rows


def test_what_an_answer_has_from_the_training_rows_is_counted(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    """Of five answers one is a training row's, one half of it and other words, one other words alone, two too short."""
    rows = read_dataset(tiny_profile.training.dataset, tiny_profile.training.split_rows).splits["train"]
    known = next(words for row in rows if len(words := row["messages"][-1]["content"].split()) >= 10)
    others = [f"word{number}" for number in range(10)]
    texts = iter([" ".join(known), " ".join(known[:10] + others), " ".join(others), "two words", ""])
    real = evaluation.answer

    def scripted(loaded, prompt, max_tokens):
        return replace(real(loaded, prompt, max_tokens), text=next(texts))

    monkeypatch.setattr(evaluation, "answer", scripted)
    sample = evaluation.measure(context_for(nano, tiny_profile, stepping_stopwatch)[0])
    assert sample.readings["copied_share"].values == (1.0, 0.5, 0.0)
    assert sample.data["test"]["rows_in_training"] == 0
