import hashlib

import pytest

from harness.analysis.report_policy import CardText, Limit, Policy, Rank, Rating, RatingStep, UseCase
from harness.errors import BadConfig
from harness.inputs.config_files import read_policy
from harness.paths import bundled
from harness.results.metrics import DEFINITIONS

SMALL = """
[rating]
otherwise = "loose"
steps = [{ below = 0.02, word = "tight" }, { below = 0.1, word = "fair" }]
[use_case.chat]
rank = { metric = "decode_tokens_per_s", label = "short", suite = "inference" }
limits = [{ metric = "ttft_s", statistic = "p95", at_most = 0.3 }]
[cards]
ethics = "None known."
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def refusal(tmp_path, text):
    with pytest.raises(BadConfig) as refused:
        read_policy(written(tmp_path, text))
    return str(refused.value)


def test_a_policy_is_read_whole(tmp_path):
    limit = Limit(metric="ttft_s", statistic="p95", at_most=0.3)
    rank = Rank(metric="decode_tokens_per_s", label="short", suite="inference")
    assert read_policy(written(tmp_path, SMALL)) == Policy(
        name="mine.toml",
        sha256=hashlib.sha256(SMALL.encode()).hexdigest(),
        rating=Rating(
            steps=(RatingStep(below=0.02, word="tight"), RatingStep(below=0.1, word="fair")), otherwise="loose"
        ),
        use_cases=(UseCase(name="chat", rank=rank, limits=(limit,)),),
        cards=CardText(ethics="None known."),
    )


@pytest.mark.parametrize(
    ("variation", "word"), [(0.0, "tight"), (0.0199, "tight"), (0.02, "fair"), (0.0999, "fair"), (0.1, "loose")]
)
def test_a_spread_gets_the_word_of_the_first_bound_it_is_below(tmp_path, variation, word):
    assert read_policy(written(tmp_path, SMALL)).rating.word(variation) == word


def test_the_shipped_policy_can_be_read_and_is_named_by_the_hash_of_its_file():
    policy = read_policy(None)
    path = bundled("fixtures") / "policies" / "default.toml"
    assert policy.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [use_case.name for use_case in policy.use_cases] == [
        "real-time-chat",
        "batch-processing",
        "memory-limited",
        "quality-first",
        "fine-tune-often",
    ]


def test_the_shipped_policy_ranks_quality_and_training_by_what_compares_across_tokenizers():
    ranked = {use_case.name: DEFINITIONS[use_case.rank.metric] for use_case in read_policy(None).use_cases}
    assert "token" not in ranked["quality-first"].unit
    assert "token" not in ranked["fine-tune-often"].unit


def test_a_file_without_cards_leaves_the_author_silent(tmp_path):
    text = SMALL.partition("[cards]")[0]
    assert read_policy(written(tmp_path, text)).cards == CardText()


def test_every_problem_of_a_file_is_named_at_once(tmp_path):
    text = """
prices = 3
[rating]
steps = [{ below = 0.0, wrod = "tight" }]
[use_case.chat]
rank = { metric = "speed" }
limits = [{ metric = "ttft_s", statistic = "mean" }, { metric = "ttft", statistic = "p95", at_most = "1 s" }]
[cards]
etics = "x"
"""
    refused = refusal(tmp_path, text)
    for problem in (
        "unknown key 'prices'",
        "rating.otherwise is missing",
        "unknown key 'rating.steps[1].wrod'",
        "rating.steps[1].below is 0.0",
        "use_case.chat.rank.metric is 'speed'",
        "use_case.chat.limits[1].statistic is 'mean'; give one of median, p95, highest, lowest",
        "use_case.chat.limits[1] has no bound; give at_most or at_least",
    ):
        assert problem in refused
    assert "mine.toml: 11 problems" in refused


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('metric = "decode_tokens_per_s"', 'metric = "cpu_percent"', "of which more, or less, is better"),
        ('suite = "inference"', 'suite = "speed"', "use_case.chat.rank.suite is 'speed'"),
        ("below = 0.02", "below = 0.2", "their bounds rising"),
        ("at_most = 0.3", "at_most = nan", "use_case.chat.limits[1].at_most is nan"),
        ('rank = { metric = "decode_tokens_per_s"', 'rang = { metric = "decode_tokens_per_s"', "use_case.chat.rank"),
        ("[use_case.chat]", "[use_case]\nchat = 3\n[other]", "each a table"),
        ('steps = [{ below = 0.02, word = "tight" }, { below = 0.1, word = "fair" }]', "steps = [3]", "rating.steps"),
        ("limits = [{", "limits = [3, {", "use_case.chat.limits is"),
        ('ethics = "None known."', "ethics = 3", "cards.ethics is 3; give a text"),
    ],
)
def test_what_no_policy_can_say_is_refused(tmp_path, old, new, problem):
    assert old in SMALL
    assert problem in refusal(tmp_path, SMALL.replace(old, new))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadConfig, match=r"gone\.toml"):
        read_policy(tmp_path / "gone.toml")


def test_a_file_of_several_limits_keeps_their_order_and_bounds(tmp_path):
    more = '{ metric = "eos_rate", statistic = "lowest", at_least = 0.5, label = "x" }, { metric = "ttft_s"'
    policy = read_policy(written(tmp_path, SMALL.replace('{ metric = "ttft_s"', more)))
    assert policy.use_cases[0].limits[0] == Limit(metric="eos_rate", statistic="lowest", at_least=0.5, label="x")
    assert policy.use_cases[0].limits[1].metric == "ttft_s"
