"""Checks of what a report says of two models or adapters: who is faster, by how much, and whether that can be said.

The sides stand in the order of the claim's cases. Of a printed range the middle is taken. Finding texts go on after
the place of the claim: "S0:54 gives ...".
"""

from statistics import fmean, stdev

from harness.analysis.claims.claim import Answer, Check, Question, Side, name_of, number, quantity, same, times, whole
from harness.results.records import Better

_APART = 0.10  # relative: ratios of printed figures closer than this agree
_COST = 0.05  # likewise of a cost ratio, which is printed with two figures
_POINT = 1.0  # percentage point: rounding of a printed percentage
_FEW_ROWS = 30  # chosen: below it one row moves a mean loss by more than 3 % of its own distance from it


def ratio_of_lengths(its: Question) -> Answer | None:
    """R17: two sides' times for answers of different lengths, by answer and by word."""
    a, b = its.pick(2)
    by_answer = b.middle("response_s") / a.middle("response_s")
    words = b.middle("response_words") / a.middle("response_words")
    if abs(words - 1) <= _APART:
        return None
    (a_low, a_high), (b_low, b_high) = a.ends("response_s"), b.ends("response_s")
    low, high = b_low / a_high, b_high / a_low
    text = (
        f"says “{its.claim.text}” of the times of whole answers: {b.name} takes {_span(low, high)} times as long as "
        f"{a.name}, with {number(words)} times as many words. By word it takes {number(by_answer / words)} times as "
        "long."
    )
    numbers = {"by_answer": by_answer, "words": words, "by_word": by_answer / words, "low": low, "high": high}
    return Answer(text=text, numbers=numbers)


def _span(low: float, high: float) -> str:
    return number(low) if same(low, high) else f"{number(low)} to {number(high)}"


def token_fairness(its: Question) -> Answer | None:
    """R26: a ratio of token rates that the ratio of times does not bear out: the sides counted different tokens."""
    a, b = its.pick(2)
    rates = a.middle("train_tokens_per_s") / b.middle("train_tokens_per_s")
    speeds = b.value("train_wall_s") / a.value("train_wall_s")
    tokens = rates / speeds
    if abs(tokens - 1) <= _APART:
        return None
    why = (
        "The tokenizers differ, so tokens a second do not compare; rows or bytes a second do."
        if a.key.tokenizer != b.key.tokenizer
        else "The two did not see the same tokens."
    )
    text = (
        f"gives {a.name} {times(rates)} the tokens a second of {b.name}, and {b.name} takes {times(speeds)} as long "
        f"for the same iterations: by these figures {a.name} counted {times(tokens)} as many tokens. {why}"
    )
    return Answer(text=text, numbers={"rates": rates, "speeds": speeds, "tokens": tokens})


def gap_order(its: Question) -> Answer | None:
    """R8: which of two overfits more, by final validation loss less final training loss."""
    a, b = its.pick(2)
    gap_a, gap_b = (side.value("val_loss_final") - side.value("train_loss_final") for side in (a, b))
    if gap_a > gap_b:
        return None
    text = (
        f"says that {a.name} overfits and {b.name} generalises better; final validation less final training loss is "
        f"{number(gap_a)} for {a.name} and {number(gap_b)} for {b.name}, the other way round."
    )
    return Answer(text=text, numbers={a.name: gap_a, b.name: gap_b})


def tokenizer_mix(its: Question) -> Answer | None:
    """R26: a loss per token ranked across tokenizers."""
    a, b = its.pick(2)
    if a.key.tokenizer == b.key.tokenizer:
        return None
    metric, sizes = its.word("metric"), its.claim.numbers.get("vocabulary") or {}
    sizes_text = " and ".join(f"{whole(sizes[side.model])} ({side.model})" for side in (a, b) if side.model in sizes)
    text = (
        f"ranks the {name_of(metric)} of {a.name} ({number(a.value(metric))}) and {b.name} "
        f"({number(b.value(metric))}), whose tokenizers differ"
        + (f": vocabularies of {sizes_text}. " if sizes_text else ". ")
        + "Loss and perplexity are per token and compare with one tokenizer alone; bits per byte are not printed."
    )
    return Answer(text=text, numbers={a.name: a.value(metric), b.name: b.value(metric)})


def small_test_set(its: Question) -> Answer | None:
    """R7: a mean over few rows, without an interval."""
    split = its.word("split")
    rows = (its.side.key.dataset or {}).get("rows", {}).get(split)
    if rows is None or rows >= _FEW_ROWS:
        return None
    text = (
        f"rests on the {rows} rows of the {split} split. With fewer than {_FEW_ROWS} and no interval printed, a "
        "difference between two means cannot be told from the choice of rows."
    )
    return Answer(text=text, numbers={"rows": rows})


def percent_from_counts(its: Question) -> Answer | None:
    """R3: how much larger one side is, from the counts themselves."""
    large, small = its.pick(2)
    metric, said = its.word("metric"), its.number("percent")
    a, b = large.value(metric), small.value(metric)
    found = 100 * (a / b - 1)
    if abs(found - said) <= _POINT:
        return None
    text = (
        f"says {large.model} is {number(said)} % larger than {small.model}; {_count(a, large, metric)} against "
        f"{_count(b, small, metric)} {name_of(metric)} are {number(found)} % more."
    )
    return Answer(text=text, numbers={"claimed": said, "found": found})


def _count(value: float, side: Side, metric: str) -> str:
    found = side.metric(metric)
    assert found is not None, "its value was read before"
    return quantity(value, found.unit)


def spread_across_scenarios(its: Question) -> Answer | None:
    """R5: a stated spread against that of the printed scenarios, s / mean with n - 1."""
    said, parts = its.number("percent"), its.side.parts("decode_tokens_per_s")
    speeds = [parts[label] for label in its.words("scenarios") if label in parts]
    if len(speeds) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    found = 100 * stdev(speeds) / fmean(speeds)
    if found <= said:
        return None
    text = (
        f"gives a stability of ±{number(said)} %; over the {len(speeds)} scenarios of its own table the speed of "
        f"{its.side.model} has a spread (s / mean) of {number(found)} %. Repeats of one scenario, which would tell "
        "stability from the workload, are not printed."
    )
    return Answer(text=text, numbers={"claimed": said, "found": found})


def headline_against_rows(its: Question) -> Answer | None:
    """R4: who is better in most rows, counted over every printed row both sides have."""
    a, b = its.pick(2)
    won, lost, even = _rows(a, b)
    if won > lost + even:
        return None
    text = (
        f"names {a.name} ahead in most categories; of the {won + lost + even} rows in which both have a number, it is "
        f"better in {won}, "
        f"{b.name} in {lost}, equal in {even}."
    )
    return Answer(text=text, numbers={"better": won, "worse": lost, "equal": even})


def _rows(a: Side, b: Side) -> tuple[int, int, int]:
    """Printed rows in which *a* is better, worse and equal; None of a metric that has no better way."""
    counts = [0, 0, 0]
    for name in dict.fromkeys(name for record in a.records for name in record.metrics):
        mine, other = a.metric(name), b.metric(name)
        if mine is None or other is None or mine.better is Better.NONE:
            continue
        theirs = b.parts(name)
        for label, value in a.parts(name).items():
            if label in theirs:
                ahead = value < theirs[label] if mine.better is Better.LOWER else value > theirs[label]
                counts[2 if same(value, theirs[label]) else 0 if ahead else 1] += 1
    return counts[0], counts[1], counts[2]


def similar(its: Question) -> Answer | None:
    """R4: a metric that is said to be much the same on both sides."""
    a, b = its.pick(2)
    metric, label = its.word("metric"), its.word("label")
    ratio = a.value(metric, label) / b.value(metric, label)
    if abs(ratio - 1) <= _APART:
        return None
    text = (
        f"calls the performance similar; the {name_of(metric)} ({label}) "
        f"is {number(a.value(metric, label))} for {a.name} and "
        f"{number(b.value(metric, label))} for {b.name}, {times(ratio)} as much."
    )
    return Answer(text=text, numbers={"ratio": ratio})


def cost_ratio(its: Question) -> Answer | None:
    """R19: a ratio of costs where no cost was measured, against the printed ratios of speed and size."""
    cheap, dear = its.pick(2)
    said = its.number("ratio")
    a, b = cheap.parts("decode_tokens_per_s"), dear.parts("decode_tokens_per_s")
    ratios = {label: a[label] / b[label] for label in its.words("scenarios") if label in a and label in b}
    if not ratios:
        return None
    mean = fmean(ratios.values())
    if abs(mean / said - 1) <= _COST:
        return None
    low, high = min(ratios, key=lambda label: ratios[label]), max(ratios, key=lambda label: ratios[label])
    size = dear.value("total_parameters") / cheap.value("total_parameters")
    text = (
        f"puts the compute cost of {dear.model} at {number(said)} times that of {cheap.model}; no cost was measured. "
        f"The printed speeds differ {number(mean)} times on average, from {number(ratios[low])} ({low}) to "
        f"{number(ratios[high])} ({high}), and the parameters {number(size)} times."
    )
    return Answer(text=text, numbers={"claimed": said, "speed": mean, "size": size})


def percent_bases(its: Question) -> Answer | None:
    """R3: percentages of one table, each by 1 - a / b or by b / a - 1: the first side is the better one."""
    a, b = its.pick(2)
    found: dict[str, str] = {}
    for row in its.rows("rows", ("metric", "percent")):
        metric, label, said = row["metric"], row.get("label"), row["percent"]
        ratio = a.value(metric, label) / b.value(metric, label)
        ways = {"1 - a/b": 100 * (1 - ratio), "b/a - 1": 100 * (1 / ratio - 1)}
        way = min(ways, key=lambda way: abs(ways[way] - said))
        if abs(ways[way] - said) > _POINT:
            way = "neither"
        found[f"{number(said)} % of {name_of(metric)}"] = way
    if len(set(found.values()) - {"neither"}) == 1 and "neither" not in found.values():
        return None
    listed = ", ".join(f"{what} by {way}" for what, way in found.items())
    text = (
        f"gives percentages in one table that are not computed one way (a is {a.name}, b is {b.name}): {listed}. One "
        "ratio reads as a larger or a smaller advantage by them."
    )
    return Answer(text=text, numbers=dict(found))


CHECKS: dict[str, tuple[str, str, Check]] = {
    "ratio_of_lengths": ("R17", "contradiction", ratio_of_lengths),
    "token_fairness": ("R26", "contradiction", token_fairness),
    "gap_order": ("R8", "contradiction", gap_order),
    "tokenizer_mix": ("R26", "contradiction", tokenizer_mix),
    "small_test_set": ("R7", "warning", small_test_set),
    "percent_from_counts": ("R3", "contradiction", percent_from_counts),
    "spread_across_scenarios": ("R5", "contradiction", spread_across_scenarios),
    "headline_against_rows": ("R4", "contradiction", headline_against_rows),
    "similar": ("R4", "contradiction", similar),
    "percent_bases": ("R3", "contradiction", percent_bases),
    "cost_ratio": ("R19", "contradiction", cost_ratio),
}
