"""Checks of whether a report holds what its claims would need: an arm, a measurement, an answer, a clean test.

What is missing makes a warning: the claim may be true, and the report cannot show it. Finding texts go on after the
place of the claim: "S3:189 says ...".
"""

import re
from collections.abc import Callable, Mapping

from harness.analysis.claims.claim import Answer, Check, Question, number, quantity, whole
from harness.analysis.preflight import leaked_markers
from harness.errors import BadRecord
from harness.results.records import Key

_SHOWN = 60  # characters of a prompt
_AT_ONCE = 0.005  # relative: a time that is exactly what a rate makes of it
# What four lanes of PCIe 4.0 carry, the fastest a drive of most machines is attached by: 16 GT/s, 128 bits in 130.
_STORAGE_BYTES_PER_S = 7.88e9
_MISREAD = ("cp1252", "mac_roman", "latin-1")  # what UTF-8 is read as by mistake
_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")  # of more than one byte; some may have been lost on the way

ARMS: Mapping[str, Callable[[Key], bool]] = {
    "full fine-tuning": lambda key: (key.adapter or {}).get("kind") == "full",
    "a quantised model": lambda key: key.quantization is not None,
    "an unquantised model": lambda key: key.quantization is None,
}


def claim_needs_arm(its: Question) -> Answer | None:
    """A comparison with something that no record of the report is of."""
    arm = its.word("arm")
    if arm not in ARMS:
        raise BadRecord(f"{its.claim.where}: claim_needs_arm knows no arm {arm!r}; it is {', '.join(ARMS)}")
    if any(record.key is not None and ARMS[arm](record.key) for record in its.bundle.records):
        return None
    return Answer(text=f"compares with {arm}; no record of the report is of that: there is nothing to compare with.")


def claim_needs_metric(its: Question) -> Answer | None:
    """R15: a statement about something that was not measured."""
    metric, what = its.word("metric"), its.word("what")
    found = (record.metrics.get(metric) for record in its.bundle.records)
    if any(its is not None and its.samples is not None for its in found):
        return None
    return Answer(text=f"speaks of {what}; no record of the report measures it.", numbers={"metric": metric})


def test_set_never_run(its: Question) -> Answer | None:
    """R20: rows held out for testing on which nothing was measured."""
    rows = (its.side.key.dataset or {}).get("rows", {}).get("test")
    tested = any((metric := record.metrics.get("test_loss")) and metric.samples for record in its.bundle.records)
    if not rows or tested:
        return None
    text = (
        f"holds {whole(rows)} rows out for testing; no result on them is printed: every loss is of rows that were "
        "looked at during training."
    )
    return Answer(text=text, numbers={"rows": rows})


def prompt_in_training(its: Question) -> Answer | None:
    """R24: test prompts, and answers, that are rows of the training data. Spaces and case aside."""
    rows = its.rows("training_rows", ("prompt", "answer"))
    answers = {_bare(str(row["prompt"])): _bare(str(row["answer"])) for row in rows}
    outputs = [output for side in its.sides for output in side.outputs]
    seen = [output for output in outputs if _bare(output.prompt) in answers]
    if not seen:
        return None
    recited = [output for output in seen if _bare(output.text) == answers[_bare(output.prompt)]]
    prompts = dict.fromkeys(output.prompt for output in seen)
    text = f"tests with {_quoted(next(iter(prompts)))}, which is a training example"
    if recited:
        text += f"; the answer of {its.sides[-1].name} is that example's, word for word"
    return Answer(text=f"{text}.", numbers={"prompts": len(prompts), "recited": len(recited)})


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())


def _quoted(text: str) -> str:
    return f"“{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}”"


def leaked_markup(its: Question) -> Answer | None:
    """R23: rated answers that hold turn markers as text."""
    side = its.side
    for output in side.outputs:
        if leaked := leaked_markers(output.text):
            text = (
                f"rates {its.word('what')} of {side.model}; its answer to {_quoted(output.prompt)} holds "
                f"{', '.join(leaked)} as text. Turn markers in an answer belong to the template or to where generation "
                "stops; what the model would write without them is not known."
            )
            return Answer(text=text, numbers={"markers": list(leaked)})
    return None


def missing_output(its: Question) -> Answer | None:
    """R23: an answer that is judged, and not printed."""
    prompt = its.word("prompt")
    lacking = [side.name for side in its.sides if all(_bare(output.prompt) != _bare(prompt) for output in side.outputs)]
    if not lacking:
        return None
    text = (
        f"judges the answers to {_quoted(prompt)}; that of {' and '.join(lacking)} is not recorded: a description "
        "stands in its place."
    )
    return Answer(text=text, numbers={"missing": lacking})


def derived_response_time(its: Question) -> Answer | None:
    """R17: a response time that is tokens over a printed rate to the last figure, the first token's time left out."""
    side, tokens = its.side, its.number("output_tokens")
    response, ttft = side.value("response_s"), side.value("ttft_s")
    for label, rate in side.parts("decode_tokens_per_s").items():
        if abs(response - tokens / rate) <= _AT_ONCE * response:
            text = (
                f"gives {quantity(response, 's')} for {whole(tokens)} tokens, which is {whole(tokens)} / "
                f"{number(rate)} tokens/s ({label}); with the {quantity(ttft, 's')} to the first token, printed "
                f"beside it, it would be {quantity(ttft + tokens / rate, 's')}: it is a rate written as a time."
            )
            return Answer(text=text, numbers={"response_s": response, "rate": rate, "ttft_s": ttft})
    return None


def load_outruns_storage(its: Question) -> Answer | None:
    """R17: a load time in which the files cannot have come from a drive."""
    side = its.side
    size, load = side.value("disk_bytes"), side.value("load_s")
    if size / load <= _STORAGE_BYTES_PER_S:
        return None
    text = (
        f"loads {number(size / 1e9)} GB in {quantity(load, 's')}, {quantity(size / load, 'byte/s')}: more than "
        f"four lanes of PCIe 4.0 carry ({quantity(_STORAGE_BYTES_PER_S, 'byte/s')}). Whether the files were in "
        "memory already, and whether the parameters were evaluated, is not printed."
    )
    return Answer(text=text, numbers={"bytes_per_s": size / load})


def garbled_text(its: Question) -> Answer | None:
    """Text in which every odd character is part of UTF-8 that was read as another encoding."""
    printed = its.word("printed")
    for encoding in _MISREAD:
        data = _as_bytes(printed, encoding)
        if data is not None and not data.isascii() and _UTF8.sub(b"", data).isascii():
            text = f"prints {_quoted(printed)}: UTF-8 read as {encoding}. What it was to say is lost to a reader."
            return Answer(text=text, numbers={"encoding": encoding})
    return None


def _as_bytes(text: str, encoding: str) -> bytes | None:
    """The bytes that *text* was read from; None if it cannot have been read as *encoding*."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


CHECKS: dict[str, tuple[str, str, Check]] = {
    "claim_needs_arm": ("R26", "warning", claim_needs_arm),
    "claim_needs_metric": ("R15", "warning", claim_needs_metric),
    "test_set_never_run": ("R20", "warning", test_set_never_run),
    "prompt_in_training": ("R24", "contradiction", prompt_in_training),
    "leaked_markup": ("R23", "contradiction", leaked_markup),
    "missing_output": ("R23", "warning", missing_output),
    "derived_response_time": ("R17", "contradiction", derived_response_time),
    "load_outruns_storage": ("R17", "warning", load_outruns_storage),
    "garbled_text": ("R23", "warning", garbled_text),
}
