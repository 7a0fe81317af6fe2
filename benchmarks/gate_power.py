"""How often the gate cries wolf, and what it finds: simulated noise, and noise that was recorded.

    python benchmarks/gate_power.py                  # every table, about five minutes
    python benchmarks/gate_power.py --quick          # a tenth of the draws
    python benchmarks/gate_power.py --only pairs,looks

Seeded. Each draw is two sides of one metric as a session would have measured it, a slot a process, pairs in random
order; they are judged by `harness.analysis.judge` and `harness.gate` themselves. Exit code 1 if a goal is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats as reference

from harness.analysis.judge import Demand, Design, Judgement, Verdict, judge, level
from harness.analysis.stats import false_discovery
from harness.gate import interim_analyses
from harness.results.records import Better, Kind, Metric

Values = np.ndarray
Draw = Callable[[np.random.Generator, int], Values]  # logarithms of seconds, a slot each
Rule = Callable[[Values, Values], bool]  # baseline, candidate -> whether it fails the build
TRACES = Path(__file__).parent / "traces"
DEMAND = Demand(tolerance=0.03)
ANOTHER_DAY = Demand(tolerance=0.03, margin=0.05)

# --- noise ---


def white(random: np.random.Generator, slots: int, spread: float) -> Values:
    return random.normal(0, spread, slots)


def wandering(random: np.random.Generator, slots: int) -> Values:
    """AR(1): each slot keeps 0.95 of the last one's offset; 3 % over a long time."""
    steps = random.normal(0, 0.03 * np.sqrt(1 - 0.95**2), slots)
    offsets = np.empty(slots)
    at = random.normal(0, 0.03)
    for slot in range(slots):
        at = 0.95 * at + steps[slot] if slot else at
        offsets[slot] = at
    return offsets


def bursts(random: np.random.Generator, slots: int) -> Values:
    """Other work on the machine: 13 % of the time, 5 slots long on average, 10 to 30 % slower."""
    ends, share = 1 / 5, 0.13
    begins = ends * share / (1 - share)
    busy, size, offsets = random.random() < share, random.uniform(0.1, 0.3), np.zeros(slots)
    for slot in range(slots):
        if slot and busy:
            busy = random.random() >= ends
        elif slot and random.random() < begins:
            busy, size = True, random.uniform(0.1, 0.3)
        offsets[slot] = np.log1p(size) if busy else 0.0
    return offsets


def two_modes(random: np.random.Generator, slots: int) -> Values:
    """A process lands in one of two layouts, 3 % apart."""
    return 0.03 * (random.random(slots) < 0.5)


def warming(slots: int) -> Values:
    """A machine that becomes 8 % slower as it warms."""
    return np.log1p(0.08 * (1 - np.exp(-np.arange(slots) / 15)))


def crowded(random: np.random.Generator, slots: int) -> Values:
    """More programs compute than there are cores: every other slot takes 1.5 to 3.5 times as long."""
    return np.where(random.random(slots) < 0.5, np.log(random.uniform(1.5, 3.5, slots)), 0.0)


NOISE: dict[str, Draw] = {
    "iid": lambda random, slots: white(random, slots, 0.02),
    "drift": lambda random, slots: wandering(random, slots) + white(random, slots, 0.01),
    "bursts": lambda random, slots: bursts(random, slots) + white(random, slots, 0.015),
    "bimodal": lambda random, slots: two_modes(random, slots) + white(random, slots, 0.01),
    "warming": lambda random, slots: warming(slots) + white(random, slots, 0.01),
    "shared CI": lambda random, slots: (
        random.uniform(-0.05, 0.05) + wandering(random, slots) + bursts(random, slots) + white(random, slots, 0.015)
    ),
}

HOPELESS: dict[str, Draw] = {  # of 5 % little can be seen; nothing must be believed either
    "tight layouts": lambda random, slots: 0.05 * (random.random(slots) < 0.5) + white(random, slots, 0.002),
    "crowded": lambda random, slots: crowded(random, slots) + white(random, slots, 0.02),
}

OVERLOADED = "recorded: busy"  # three programs and more computed on two cores: for false alarms alone
NO_GOAL = {*HOPELESS, OVERLOADED}  # of what is to be found


def recorded() -> dict[str, Draw]:
    """Each recording as a noise: neighboring readings of one of its blocks, as they followed each other."""

    def of(blocks: Sequence[Values]) -> Draw:
        def draw(random: np.random.Generator, slots: int) -> Values:
            block = blocks[random.integers(len(blocks))]
            first = random.integers(len(block) - slots)
            return block[first : first + slots]

        return draw

    found = {}
    for path in sorted(TRACES.glob("*.json")):
        blocks = json.loads(path.read_text())["blocks"]
        found[f"recorded: {path.stem}"] = of([np.log([value for run in block for value in run]) for block in blocks])
    return found


# --- designs ---


def interleaved(draw: Draw, random: np.random.Generator, pairs: int) -> tuple[Values, Values]:
    """Both sides of so many pairs, in random order within each."""
    slots = draw(random, 2 * pairs).reshape(pairs, 2)
    turned = random.random(pairs) < 0.5
    return np.where(turned, slots[:, 1], slots[:, 0]), np.where(turned, slots[:, 0], slots[:, 1])


def stored(draw: Draw, random: np.random.Generator, processes: int) -> tuple[Values, Values]:
    """Two sessions, each with noise of its own."""
    return draw(random, processes), draw(random, processes)


# --- rules ---


def metric(logs: Values) -> Metric:
    samples = tuple((value,) for value in np.exp(logs).tolist())
    return Metric(unit="s", better=Better.LOWER, kind=Kind.TIMING, samples=samples)


def judged(sides: tuple[Values, Values], effect: float, *, design: Design, demand: Demand = DEMAND) -> Judgement:
    before, after = sides
    return judge(metric(before), metric(after + np.log1p(effect)), design=design, demand=demand)


def compare_fail(before: Values, after: Values) -> bool:
    """pytest-benchmark --benchmark-compare-fail=mean:5%."""
    return bool(np.exp(after).mean() / np.exp(before).mean() > 1.05)


def welch(before: Values, after: Values) -> bool:
    """The rule of inference-doctor at 5 %: the whole 90 % interval of Welch's t beyond it."""
    test = reference.ttest_ind(after, before, equal_var=False)
    return bool(test.confidence_interval(0.90).low > np.log(1.05))


def welch_as_shipped(before: Values, after: Values) -> bool:
    """The same at its own 10 %."""
    test = reference.ttest_ind(after, before, equal_var=False)
    return bool(test.confidence_interval(0.90).low > np.log(1.10))


def mann_whitney(before: Values, after: Values) -> bool:
    """The rule of asv -f 1.05: medians 5 % apart, and p < 0.002."""
    apart = np.median(np.exp(after)) / np.median(np.exp(before)) > 1.05
    return bool(apart and reference.mannwhitneyu(after, before, alternative="two-sided", method="exact").pvalue < 0.002)


OTHERS: dict[str, Rule] = {
    "Welch at 10 %": welch_as_shipped,
    "compare-fail mean:5%": compare_fail,
    "Welch at 5 %": welch,
    "Mann-Whitney 1.05": mann_whitney,
}


# --- tables ---


@dataclass
class Table:
    """A table in Markdown, and the goals it missed."""

    title: str
    columns: Sequence[str]
    rows: list[list[str]]
    missed: list[str]

    def __str__(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join([f"\n### {self.title}\n", *("| " + " | ".join(line) + " |" for line in lines)])


def percent(share: float) -> str:
    return f"{100 * share:.2f}" if share < 0.1 else f"{100 * share:.1f}"


class Goals:
    """Collects what a table missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def at_most(self, what: str, share: float, limit: float) -> str:
        return self._said(what, share, limit, kept=share <= limit, word="at most")

    def at_least(self, what: str, share: float, limit: float) -> str:
        return self._said(what, share, limit, kept=share >= limit, word="at least")

    def _said(self, what: str, share: float, limit: float, *, kept: bool, word: str) -> str:
        if not kept:
            self.missed.append(f"{what}: {percent(share)} %, wanted {word} {percent(limit)} %")
        return percent(share) + ("" if kept else " (!)")


def share_of(verdicts: Iterable[Verdict], wanted: Verdict) -> float:
    verdict_list = list(verdicts)
    return sum(verdict is wanted for verdict in verdict_list) / len(verdict_list)


def of_pairs(noise: dict[str, Draw], draws: int) -> Table:
    """One metric, a fixed number of pairs."""
    goals, rows = Goals(), []
    for name, draw in noise.items():
        random, real = np.random.default_rng(1), name.startswith("recorded")
        cells = [name]
        for pairs, effect, limit in (
            (20, 0.0, 0.0),
            (20, 0.03, 0.9),
            (20, 0.05, 0.99),
            (10, 0.0, None),
            (10, 0.05, 0.95),
        ):
            judgements = [judged(interleaved(draw, random, pairs), effect, design=Design.PAIRED) for _ in range(draws)]
            share, case_text = (
                share_of((one.verdict for one in judgements), Verdict.WORSE),
                f"{name}, {pairs} pairs, {effect:+.0%}",
            )
            if effect == 0 and limit is not None:
                cells.append(goals.at_most(case_text, share, 0.02 if real else 0.005))
            elif limit is None or name in NO_GOAL or (real and (pairs, effect) != (20, 0.05)):
                cells.append(percent(share))
            else:
                cells.append(goals.at_least(case_text, share, 0.75 if real else limit))
            if effect == 0:
                cells.append(percent(sum(map(passes, judgements)) / draws))
        for pairs in (1, 3):
            judgements = [
                judged(interleaved(draw, random, pairs), 0.5, design=Design.PAIRED).verdict for _ in range(draws // 10)
            ]
            if {*judgements} != {Verdict.NOT_JUDGED}:
                goals.missed.append(
                    f"{name}: {pairs} pairs gave {', '.join(sorted(verdict.value for verdict in {*judgements}))}"
                )
        rows.append(cells)
    columns = (
        "noise",
        "20 pairs: false alarms",
        "passes",
        "+3 % found",
        "+5 % found",
        "10 pairs: false alarms",
        "passes",
        "+5 % found",
    )
    return Table(f"One metric, a fixed number of pairs (% of {draws} draws)", columns, rows, goals.missed)


def of_looks(noise: dict[str, Draw], draws: int) -> Table:
    """One metric, judged as it grows."""
    goals, rows, at = Goals(), [], interim_analyses.schedule(interim_analyses.MOST_PAIRS)
    demand = Demand(tolerance=DEMAND.tolerance, looks=len(at))
    for name, draw in noise.items():
        random, real, cells = np.random.default_rng(2), name.startswith("recorded"), [name]
        for effect in (0.0, 0.03, 0.05):
            ends = [_grown(interleaved(draw, random, at[-1]), effect, at, demand) for _ in range(draws)]
            found = share_of((verdict for verdict, _ in ends), Verdict.WORSE)
            pairs, case_text = float(np.mean([value for _, value in ends])), f"{name}, early stopping, {effect:+.0%}"
            limit = {0.0: 0.02 if real else 0.005, 0.03: 0.0 if real else 0.9, 0.05: 0.75 if real else 0.99}[effect]
            if effect and name in NO_GOAL:
                cells.append(percent(found))
            else:
                cells.append((goals.at_least if effect else goals.at_most)(case_text, found, limit))
            cells.append(f"{pairs:.1f}")
            if effect != 0.03 and not real and name not in NO_GOAL and pairs > 15:
                goals.missed.append(f"{case_text}: {pairs:.1f} pairs on average, wanted 15 at most")
        rows.append(cells)
    columns = ("noise", "false alarms", "pairs", "+3 % found", "pairs", "+5 % found", "pairs")
    return Table(
        f"Judged after {', '.join(map(str, at))} pairs (% of {draws} draws; pairs on average)",
        columns,
        rows,
        goals.missed,
    )


def passes(judgement: Judgement) -> bool:
    """As in the gate: that it may be better is no reason to go on."""
    return judgement.worse is not None and judgement.worse.ratio.high < 1 + DEMAND.tolerance


def _grown(sides: tuple[Values, Values], effect: float, at: Sequence[int], demand: Demand) -> tuple[Verdict, int]:
    before, after = sides
    for pairs in at:
        judgement = judged((before[:pairs], after[:pairs]), effect, design=Design.PAIRED, demand=demand)
        if judgement.verdict is not Verdict.INCONCLUSIVE or passes(judgement):
            break
    return judgement.verdict, pairs


def regressions(judgements: Sequence[Judgement], demand: Demand, processes: int) -> set[int]:
    """Which of so many metrics a gate reports as regressions."""
    chances = {}
    for place, judgement in enumerate(judgements):
        if judgement.worse is not None:
            near = judgement.worse.ratio.low if judgement.worse.ratio.point > 1 else judgement.worse.ratio.high
            away = demand.margin > 0 and (near > 1) == (judgement.worse.ratio.point > 1)
            gross = away and false_discovery.is_gross(near, demand.tolerance, demand.margin)
            chance = min(judgement.worse.rise, judgement.worse.fall)
            chances[place] = false_discovery.Chance(chance=chance, level=level(processes, demand.looks), gross=gross)
    found = false_discovery.believed(chances)
    return {
        place for place, judgement in enumerate(judgements) if judgement.verdict is Verdict.WORSE and place in found
    }


def of_builds(noise: dict[str, Draw], draws: int) -> Table:
    """A hundred metrics a build, 20 pairs."""
    goals, rows, metrics = Goals(), [], 100
    for name, draw in noise.items():
        random, alarms, finds = np.random.default_rng(3), 0, 0
        for _ in range(draws):
            sides = [interleaved(draw, random, 20) for _ in range(metrics)]
            none = [judged(side, 0.0, design=Design.PAIRED) for side in sides]
            alarms += bool(regressions(none, DEMAND, 20))
            one = [judged(sides[0], 0.05, design=Design.PAIRED), *none[1:]]
            finds += bool(regressions(one, DEMAND, 20))
        real = name.startswith("recorded")
        said = percent(alarms / draws) if real else goals.at_most(f"{name}, 100 metrics", alarms / draws, 0.01)
        rows.append([name, said, percent(finds / draws)])
    columns = ("noise", "builds with a false alarm", "builds that find the one metric of +5 %")
    return Table(f"100 independent metrics, 20 pairs (% of {draws} builds)", columns, rows, goals.missed)


def of_comparisons(noise: dict[str, Draw], draws: int) -> Table:
    """A whole comparison in turns, judged at every look: 3 required metrics and 40 watched ones of one case."""
    goals, rows, at, required, watched = Goals(), [], interim_analyses.schedule(interim_analyses.MOST_PAIRS), 3, 40
    demand = Demand(tolerance=DEMAND.tolerance, looks=len(at))
    for name, draw in noise.items():
        random, cells = np.random.default_rng(6), [name]
        for effect in (0.0, 0.05):
            ends = [
                _compared(_alike(draw, random, at[-1], required + watched), effect, at, demand, required)
                for _ in range(draws)
            ]
            failed, pairs = np.mean([value for value, _ in ends]), np.mean([value for _, value in ends])
            what = f"{name}, a comparison of {required} + {watched} metrics, {effect:+.0%}"
            real = name.startswith("recorded")
            said = percent(failed) if effect or real else goals.at_most(what, float(failed), 0.01)
            cells += [said, f"{pairs:.1f}"]
        rows.append(cells)
    columns = ("noise", "ends in a false alarm", "pairs", "finds +5 % in one required metric", "pairs")
    title = f"Comparisons in turns, {required} required and {watched} watched metrics, half of their noise in common"
    return Table(f"{title} (% of {draws})", columns, rows, goals.missed)


def _alike(draw: Draw, random: np.random.Generator, pairs: int, metrics: int) -> list[tuple[Values, Values]]:
    """Metrics of the same processes: half the variance of their noise is the processes'."""
    common = interleaved(draw, random, pairs)
    own = [interleaved(draw, random, pairs) for _ in range(metrics)]
    part = np.sqrt(0.5)
    return [(part * (common[0] + a), part * (common[1] + b)) for a, b in own]


def _compared(
    sides: Sequence[tuple[Values, Values]], effect: float, at: Sequence[int], demand: Demand, required: int
) -> tuple[bool, int]:
    """Whether it ends with a regression, and after how many pairs."""
    for pairs in at:
        judgements = [
            judged((a[:pairs], b[:pairs]), effect if place == 0 else 0.0, design=Design.PAIRED, demand=demand)
            for place, (a, b) in enumerate(sides)
        ]
        first, rest = judgements[:required], judgements[required:]
        worse, others = regressions(first, demand, pairs), regressions(rest, demand, pairs)
        if worse or others or all(map(passes, first)):
            break
    return bool(worse or others), pairs


def of_another_day(draws: int) -> Table:
    """A stored baseline, and a machine that is up to 5 % faster or slower on the day of the candidate."""
    goals, rows, metrics = Goals(), [], 100
    for processes in (5, 10, 20):
        random, alarms = np.random.default_rng(4), 0
        finds = dict.fromkeys((0.1, 0.15, 0.2), 0)
        for _ in range(draws):
            factor = random.uniform(-0.05, 0.05)
            sides = [stored(NOISE["iid"], random, processes) for _ in range(metrics)]
            none = [judged(side, factor, design=Design.INDEPENDENT, demand=ANOTHER_DAY) for side in sides]
            alarms += bool(regressions(none, ANOTHER_DAY, processes))
            for effect in finds:
                one = judged(sides[0], (1 + factor) * (1 + effect) - 1, design=Design.INDEPENDENT, demand=ANOTHER_DAY)
                finds[effect] += bool(regressions([one, *none[1:]], ANOTHER_DAY, processes))
        said = goals.at_most(f"another day, {processes} processes", alarms / draws, 0.01)
        rows.append([str(processes), said, *(percent(count / draws) for count in finds.values())])
    columns = ("processes a side", "builds with a false alarm", "+10 % found", "+15 % found", "+20 % found")
    title = f"A baseline of another day, machine up to 5 % off, 100 metrics, no probe (% of {draws} builds)"
    return Table(title, columns, rows, goals.missed)


def of_rules(noise: dict[str, Draw], draws: int) -> Table:
    """Ours against others, of the same draws: interleaved, and against a stored baseline."""
    rows = []
    ours: dict[str, tuple[Callable[..., tuple[Values, Values]], Rule]] = {
        "ours, 20 pairs": (interleaved, _ours(design=Design.PAIRED, demand=DEMAND)),
        "ours, stored, 20 a side": (stored, _ours(design=Design.INDEPENDENT, demand=ANOTHER_DAY)),
    }
    for title, design in (("20 pairs", interleaved), ("stored, 20 a side", stored)):
        ours |= {f"{name}, {title}": (design, rule) for name, rule in OTHERS.items()}
    for name, (design, rule) in ours.items():
        cells = [name]
        for draw in noise.values():
            random = np.random.default_rng(5)
            sides = [design(draw, random, 20) for _ in range(draws)]
            shares = [np.mean([rule(a, b + np.log1p(effect)) for a, b in sides]) for effect in (0.0, 0.05, 0.1)]
            cells.append(" / ".join(f"{100 * share:.1f}" for share in shares))
        rows.append(cells)
    title = f"False alarms / +5 % found / +10 % found, 40 processes each (% of {draws} draws)"
    return Table(title, ("rule", *noise), rows, [])


def _ours(*, design: Design, demand: Demand) -> Rule:
    def rule(before: Values, after: Values) -> bool:
        judgement = judge(metric(before), metric(after), design=design, demand=demand)
        return judgement.verdict is Verdict.WORSE

    return rule


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws; goals are then no goals")
    parser.add_argument("--only", default="pairs,looks,builds,ab,day,rules", help="tables [%(default)s]")
    wanted = parser.parse_args()
    part = 10 if wanted.quick else 1
    noise = NOISE | HOPELESS | recorded()
    tables: dict[str, Callable[[], Table]] = {
        "pairs": lambda: of_pairs(noise, 4000 // part),
        "looks": lambda: of_looks(noise, 2000 // part),
        "builds": lambda: of_builds(noise, 400 // part),
        "ab": lambda: of_comparisons(noise, 200 // part),
        "day": lambda: of_another_day(400 // part),
        "rules": lambda: of_rules(noise, 1000 // part),
    }
    missed = []
    for name in wanted.only.split(","):
        lines = tables[name]()
        print(lines, flush=True)
        missed += lines.missed
    print("\nmissed: " + ("; ".join(missed) or "none"))
    return 1 if missed and not wanted.quick else 0


if __name__ == "__main__":
    sys.exit(main())
