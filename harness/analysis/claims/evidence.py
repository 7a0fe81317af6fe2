"""Checks that a report holds the evidence its claims need: a compared model, a measurement, an answer, a clean test.

Missing evidence is a warning: the claim may be true, but the report cannot show it. The text of a finding continues
the place of the claim: "S3:189 says ...".
"""

import re
from collections.abc import Callable, Mapping

from harness.analysis.claims.context import Answer, CheckTable, ClaimContext
from harness.analysis.claims.wording import count, number, quantity
from harness.analysis.finding import Level
from harness.analysis.leaked_markers import leaked_markers
from harness.errors import BadRecord
from harness.plain_text import cut_short
from harness.results.records import Key

_MOST_CHARACTERS = 60  # characters of a prompt
_ROUNDING = 0.005  # relative: a printed time within it equals tokens / rate
# What four lanes of PCIe 4.0 carry, the fastest a drive of most machines is attached by: 16 GT/s, 128 bits in 130.
_STORAGE_BYTES_PER_S = 7.88e9
_MISREAD = ("cp1252", "mac_roman", "latin-1")  # what UTF-8 is read as by mistake
_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")  # a character of several bytes; some of them may be lost

ARMS: Mapping[str, Callable[[Key], bool]] = {
    "full fine-tuning": lambda key: (key.adapter or {}).get("kind") == "full",
    "a quantised model": lambda key: key.quantization is not None,
    "an unquantised model": lambda key: key.quantization is None,
}


def claim_needs_arm(context: ClaimContext) -> Answer | None:
    """Detect a comparison with a kind of model or training that no record of the report has."""
    arm = context.word("arm")
    if arm not in ARMS:
        raise BadRecord(f"{context.claim.where}: claim_needs_arm knows no arm {arm!r}; it is {', '.join(ARMS)}")
    if any(record.key is not None and ARMS[arm](record.key) for record in context.bundle.records):
        return None
    return Answer(text=f"compares with {arm}; no record of the report is of that: there is nothing to compare with.")


def claim_needs_metric(context: ClaimContext) -> Answer | None:
    """R15: detect a statement about something that was not measured."""
    name, topic = context.word("metric"), context.word("what")
    metrics = (record.metrics.get(name) for record in context.bundle.records)
    if any(metric is not None and metric.samples is not None for metric in metrics):
        return None
    return Answer(text=f"speaks of {topic}; no record of the report measures it.", numbers={"metric": name})


def test_set_never_run(context: ClaimContext) -> Answer | None:
    """R20: detect held-out test rows on which nothing was measured."""
    rows = (context.subject.key.dataset or {}).get("rows", {}).get("test")
    tested = any((metric := record.metrics.get("test_loss")) and metric.samples for record in context.bundle.records)
    if not rows or tested:
        return None
    text = (
        f"holds {count(rows)} rows out for testing; no result on them is printed: every loss is of rows that were "
        "looked at during training."
    )
    return Answer(text=text, numbers={"rows": rows})


def prompt_in_training(context: ClaimContext) -> Answer | None:
    """R24: detect test prompts and answers that are rows of the training data, ignoring case and whitespace."""
    rows = context.rows("training_rows", ("prompt", "answer"))
    answers = {_bare(str(row["prompt"])): _bare(str(row["answer"])) for row in rows}
    outputs = [output for subject in context.subjects for output in subject.outputs]
    trained = [output for output in outputs if _bare(output.prompt) in answers]
    if not trained:
        return None
    recited = [output for output in trained if _bare(output.text) == answers[_bare(output.prompt)]]
    prompts = dict.fromkeys(output.prompt for output in trained)
    text = f"tests with {_quoted(next(iter(prompts)))}, which is a training example"
    if recited:
        text += f"; the answer of {context.subjects[-1].name} is that example's, word for word"
    return Answer(text=f"{text}.", numbers={"prompts": len(prompts), "recited": len(recited)})


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())


def _quoted(text: str) -> str:
    return f"“{cut_short(text, _MOST_CHARACTERS)}”"


def leaked_markup(context: ClaimContext) -> Answer | None:
    """R23: detect rated answers that contain turn markers as text."""
    subject = context.subject
    for output in subject.outputs:
        if leaked := leaked_markers(output.text):
            text = (
                f"rates {context.word('what')} of {subject.model}; its answer to {_quoted(output.prompt)} holds "
                f"{', '.join(leaked)} as text. Turn markers in an answer belong to the template or to where generation "
                "stops; what the model would write without them is not known."
            )
            return Answer(text=text, numbers={"markers": list(leaked)})
    return None


def missing_output(context: ClaimContext) -> Answer | None:
    """R23: detect a judged answer that is not printed."""
    prompt = context.word("prompt")
    missing = [
        subject.name
        for subject in context.subjects
        if all(_bare(output.prompt) != _bare(prompt) for output in subject.outputs)
    ]
    if not missing:
        return None
    text = (
        f"judges the answers to {_quoted(prompt)}; that of {' and '.join(missing)} is not recorded: a description "
        "stands in its place."
    )
    return Answer(text=text, numbers={"missing": missing})


def derived_response_time(context: ClaimContext) -> Answer | None:
    """R17: detect a response time computed as tokens / printed rate, without the time to the first token."""
    subject, tokens = context.subject, context.number("output_tokens")
    response, ttft = subject.value("response_s"), subject.value("ttft_s")
    for label, rate in subject.parts("decode_tokens_per_s").items():
        if abs(response - tokens / rate) <= _ROUNDING * response:
            text = (
                f"gives {quantity(response, 's')} for {count(tokens)} tokens, which is {count(tokens)} / "
                f"{number(rate)} tokens/s ({label}); with the {quantity(ttft, 's')} to the first token, printed "
                f"beside it, it would be {quantity(ttft + tokens / rate, 's')}: it is a rate written as a time."
            )
            return Answer(text=text, numbers={"response_s": response, "rate": rate, "ttft_s": ttft})
    return None


def load_outruns_storage(context: ClaimContext) -> Answer | None:
    """R17: detect a load time too short to read the files from a drive."""
    subject = context.subject
    size, load = subject.value("disk_bytes"), subject.value("load_s")
    if size / load <= _STORAGE_BYTES_PER_S:
        return None
    text = (
        f"loads {number(size / 1e9)} GB in {quantity(load, 's')}, {quantity(size / load, 'byte/s')}: more than "
        f"four lanes of PCIe 4.0 carry ({quantity(_STORAGE_BYTES_PER_S, 'byte/s')}). Whether the files were in "
        "memory already, and whether the parameters were evaluated, is not printed."
    )
    return Answer(text=text, numbers={"bytes_per_s": size / load})


def garbled_text(context: ClaimContext) -> Answer | None:
    """R23: detect text whose non-ASCII characters all result from UTF-8 decoded as another encoding."""
    printed = context.word("printed")
    for encoding in _MISREAD:
        data = _as_bytes(printed, encoding)
        if data is not None and not data.isascii() and _UTF8.sub(b"", data).isascii():
            text = f"prints {_quoted(printed)}: UTF-8 read as {encoding}. What it was to say is lost to a reader."
            return Answer(text=text, numbers={"encoding": encoding})
    return None


def _as_bytes(text: str, encoding: str) -> bytes | None:
    """Return the bytes that *text* was decoded from; None if it cannot have been decoded as *encoding*."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


CHECKS: CheckTable = {
    "claim_needs_arm": ("R26", Level.WARNING, claim_needs_arm),
    "claim_needs_metric": ("R15", Level.WARNING, claim_needs_metric),
    "test_set_never_run": ("R20", Level.WARNING, test_set_never_run),
    "prompt_in_training": ("R24", Level.CONTRADICTION, prompt_in_training),
    "leaked_markup": ("R23", Level.CONTRADICTION, leaked_markup),
    "missing_output": ("R23", Level.WARNING, missing_output),
    "derived_response_time": ("R17", Level.CONTRADICTION, derived_response_time),
    "load_outruns_storage": ("R17", Level.WARNING, load_outruns_storage),
    "garbled_text": ("R23", Level.WARNING, garbled_text),
}
