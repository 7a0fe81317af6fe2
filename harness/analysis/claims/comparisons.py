"""Checks of claims that compare two models or adapters: which is faster or better, and by how much.

The subjects stand in the order of the claim's cases. A printed range counts as its midpoint. The text of a finding
continues the place of the claim: "S0:54 gives ...".
"""

from statistics import fmean, stdev

from harness.analysis.claims.context import Answer, CheckTable, ClaimContext, ClaimSubject
from harness.analysis.claims.wording import count, number, quantity, same, series_name, times
from harness.analysis.finding import Level
from harness.results.records import Better

_APART = 0.10  # relative: ratios of printed figures closer than this agree
_COST = 0.05  # likewise of a cost ratio, which is printed with two figures
_POINT = 1.0  # percentage point: rounding of a printed percentage
_FEW_ROWS = 30  # chosen: below it one row moves a mean loss by more than 3 % of its own distance from it


def ratio_of_lengths(context: ClaimContext) -> Answer | None:
    """R17: check a ratio of response times for answers of different lengths; compare by word too."""
    a, b = context.pick(2)
    by_answer = b.middle("response_s") / a.middle("response_s")
    words = b.middle("response_words") / a.middle("response_words")
    if abs(words - 1) <= _APART:
        return None
    (a_low, a_high), (b_low, b_high) = a.ends("response_s"), b.ends("response_s")
    low, high = b_low / a_high, b_high / a_low
    text = (
        f"says “{context.claim.text}” of the times of whole answers: {b.name} takes {_range_text(low, high)} times as "
        f"long as {a.name}, with {number(words)} times as many words. By word it takes "
        f"{number(by_answer / words)} times as long."
    )
    numbers = {"by_answer": by_answer, "words": words, "by_word": by_answer / words, "low": low, "high": high}
    return Answer(text=text, numbers=numbers)


def _range_text(low: float, high: float) -> str:
    return number(low) if same(low, high) else f"{number(low)} to {number(high)}"


def token_fairness(context: ClaimContext) -> Answer | None:
    """R26: check a ratio of token rates against the ratio of times; it differs if the token counts differ."""
    a, b = context.pick(2)
    rates = a.middle("train_tokens_per_s") / b.middle("train_tokens_per_s")
    speeds = b.value("train_wall_s") / a.value("train_wall_s")
    tokens = rates / speeds
    if abs(tokens - 1) <= _APART:
        return None
    reason = (
        "The tokenizers differ, so tokens a second do not compare; rows or bytes a second do."
        if a.key.tokenizer != b.key.tokenizer
        else "The two did not see the same tokens."
    )
    text = (
        f"gives {a.name} {times(rates)} the tokens a second of {b.name}, and {b.name} takes {times(speeds)} as long "
        f"for the same iterations: by these figures {a.name} counted {times(tokens)} as many tokens. {reason}"
    )
    return Answer(text=text, numbers={"rates": rates, "speeds": speeds, "tokens": tokens})


def gap_order(context: ClaimContext) -> Answer | None:
    """R8: check which of two subjects overfits more, by final validation loss minus final training loss."""
    a, b = context.pick(2)
    gap_a, gap_b = (subject.value("val_loss_final") - subject.value("train_loss_final") for subject in (a, b))
    if gap_a > gap_b:
        return None
    text = (
        f"says that {a.name} overfits and {b.name} generalises better; final validation less final training loss is "
        f"{number(gap_a)} for {a.name} and {number(gap_b)} for {b.name}, the other way round."
    )
    return Answer(text=text, numbers={a.name: gap_a, b.name: gap_b})


def tokenizer_mix(context: ClaimContext) -> Answer | None:
    """R26: detect a loss per token that is ranked across different tokenizers."""
    a, b = context.pick(2)
    if a.key.tokenizer == b.key.tokenizer:
        return None
    metric, sizes = context.word("metric"), context.claim.numbers.get("vocabulary") or {}
    models = [subject.model for subject in (a, b) if subject.model in sizes]
    sizes_text = " and ".join(f"{count(sizes[model])} ({model})" for model in models)
    text = (
        f"ranks the {series_name(metric)} of {a.name} ({number(a.value(metric))}) and {b.name} "
        f"({number(b.value(metric))}), whose tokenizers differ"
        + (f": vocabularies of {sizes_text}. " if sizes_text else ". ")
        + "Loss and perplexity are per token and compare with one tokenizer alone; bits per byte are not printed."
    )
    return Answer(text=text, numbers={a.name: a.value(metric), b.name: b.value(metric)})


def small_test_set(context: ClaimContext) -> Answer | None:
    """R7: detect a mean over few rows that has no interval."""
    split = context.word("split")
    rows = (context.subject.key.dataset or {}).get("rows", {}).get(split)
    if rows is None or rows >= _FEW_ROWS:
        return None
    text = (
        f"rests on the {rows} rows of the {split} split. With fewer than {_FEW_ROWS} and no interval printed, a "
        "difference between two means cannot be told from the choice of rows."
    )
    return Answer(text=text, numbers={"rows": rows})


def percent_from_counts(context: ClaimContext) -> Answer | None:
    """R3: check by how many percent one subject is larger, from the printed counts."""
    large, small = context.pick(2)
    metric, claimed = context.word("metric"), context.number("percent")
    a, b = large.value(metric), small.value(metric)
    computed = 100 * (a / b - 1)
    if abs(computed - claimed) <= _POINT:
        return None
    text = (
        f"says {large.model} is {number(claimed)} % larger than {small.model}; {_value_text(a, large, metric)} against "
        f"{_value_text(b, small, metric)} {series_name(metric)} are {number(computed)} % more."
    )
    return Answer(text=text, numbers={"claimed": claimed, "found": computed})


def _value_text(value: float, subject: ClaimSubject, name: str) -> str:
    metric = subject.metric(name)
    assert metric is not None, "its value was read before"
    return quantity(value, metric.unit)


def spread_across_scenarios(context: ClaimContext) -> Answer | None:
    """R5: check a stated spread against that of the printed scenarios: standard deviation (n - 1) / mean."""
    claimed, parts = context.number("percent"), context.subject.parts("decode_tokens_per_s")
    speeds = [parts[label] for label in context.words("scenarios") if label in parts]
    if len(speeds) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    spread = 100 * stdev(speeds) / fmean(speeds)
    if spread <= claimed:
        return None
    text = (
        f"gives a stability of ±{number(claimed)} %; over the {len(speeds)} scenarios of its own table the speed of "
        f"{context.subject.model} has a spread (s / mean) of {number(spread)} %. Repeats of one scenario, which would "
        "tell stability from the workload, are not printed."
    )
    return Answer(text=text, numbers={"claimed": claimed, "found": spread})


def headline_against_rows(context: ClaimContext) -> Answer | None:
    """R4: check which subject is better in most rows, over all printed rows that both have."""
    a, b = context.pick(2)
    won, lost, even = _count_rows(a, b)
    if won > lost + even:
        return None
    text = (
        f"names {a.name} ahead in most categories; of the {won + lost + even} rows in which both have a number, it is "
        f"better in {won}, "
        f"{b.name} in {lost}, equal in {even}."
    )
    return Answer(text=text, numbers={"better": won, "worse": lost, "equal": even})


def _count_rows(a: ClaimSubject, b: ClaimSubject) -> tuple[int, int, int]:
    """Count the printed rows in which *a* is better, worse and equal; metrics without a direction are left out."""
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


def similar(context: ClaimContext) -> Answer | None:
    """R4: check a metric that is claimed to be similar for both subjects."""
    a, b = context.pick(2)
    metric, label = context.word("metric"), context.word("label")
    ratio = a.value(metric, label) / b.value(metric, label)
    if abs(ratio - 1) <= _APART:
        return None
    text = (
        f"calls the performance similar; the {series_name(metric)} ({label}) "
        f"is {number(a.value(metric, label))} for {a.name} and "
        f"{number(b.value(metric, label))} for {b.name}, {times(ratio)} as much."
    )
    return Answer(text=text, numbers={"ratio": ratio})


def cost_ratio(context: ClaimContext) -> Answer | None:
    """R19: check a ratio of costs that were not measured against the printed ratios of speed and size."""
    cheap, dear = context.pick(2)
    claimed = context.number("ratio")
    a, b = cheap.parts("decode_tokens_per_s"), dear.parts("decode_tokens_per_s")
    ratios = {label: a[label] / b[label] for label in context.words("scenarios") if label in a and label in b}
    if not ratios:
        return None
    mean = fmean(ratios.values())
    if abs(mean / claimed - 1) <= _COST:
        return None
    low, high = min(ratios, key=lambda label: ratios[label]), max(ratios, key=lambda label: ratios[label])
    size = dear.value("total_parameters") / cheap.value("total_parameters")
    text = (
        f"puts the compute cost of {dear.model} at {number(claimed)} times that of {cheap.model}; no cost was "
        f"measured. The printed speeds differ {number(mean)} times on average, from {number(ratios[low])} ({low}) to "
        f"{number(ratios[high])} ({high}), and the parameters {number(size)} times."
    )
    return Answer(text=text, numbers={"claimed": claimed, "speed": mean, "size": size})


def percent_bases(context: ClaimContext) -> Answer | None:
    """R3: detect a table whose percentages mix 1 - a / b with b / a - 1; the first subject is the better one."""
    a, b = context.pick(2)
    formulas: dict[str, str] = {}
    for row in context.rows("rows", ("metric", "percent")):
        metric, label, claimed = row["metric"], row.get("label"), row["percent"]
        ratio = a.value(metric, label) / b.value(metric, label)
        percentages = {"1 - a/b": 100 * (1 - ratio), "b/a - 1": 100 * (1 / ratio - 1)}
        formula, percentage = min(percentages.items(), key=lambda item: abs(item[1] - claimed))
        if abs(percentage - claimed) > _POINT:
            formula = "neither"
        formulas[f"{number(claimed)} % of {series_name(metric)}"] = formula
    if len(set(formulas.values()) - {"neither"}) == 1 and "neither" not in formulas.values():
        return None
    listed = ", ".join(f"{figure} by {formula}" for figure, formula in formulas.items())
    text = (
        f"gives percentages in one table that are not computed one way (a is {a.name}, b is {b.name}): {listed}. One "
        "ratio reads as a larger or a smaller advantage by them."
    )
    return Answer(text=text, numbers=dict(formulas))


CHECKS: CheckTable = {
    "ratio_of_lengths": ("R17", Level.CONTRADICTION, ratio_of_lengths),
    "token_fairness": ("R26", Level.CONTRADICTION, token_fairness),
    "gap_order": ("R8", Level.CONTRADICTION, gap_order),
    "tokenizer_mix": ("R26", Level.CONTRADICTION, tokenizer_mix),
    "small_test_set": ("R7", Level.WARNING, small_test_set),
    "percent_from_counts": ("R3", Level.CONTRADICTION, percent_from_counts),
    "spread_across_scenarios": ("R5", Level.CONTRADICTION, spread_across_scenarios),
    "headline_against_rows": ("R4", Level.CONTRADICTION, headline_against_rows),
    "similar": ("R4", Level.CONTRADICTION, similar),
    "percent_bases": ("R3", Level.CONTRADICTION, percent_bases),
    "cost_ratio": ("R19", Level.CONTRADICTION, cost_ratio),
}
