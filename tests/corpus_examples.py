"""The examples of `corpus.py`: commands, and the files that they find in their folder.

Every example finds all stored runs as bundles under runs/, and those it names as run directories under results/.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

RUNS = Path(__file__).parent / "corpus_runs"
COLUMNS = 100  # of the terminal, unless an example says otherwise
Command = tuple[str, ...]  # arguments of tunebench; of pytest or Python where the first argument is that word
Step = Command | Callable[[Path], object]  # a command, or a function that changes files in the example's folder


@dataclass(frozen=True, kw_only=True)
class Example:
    """Commands that belong together, and what they need besides the stored runs.

    *results* are the stored runs that lie under results/ as directories. *variables* are added to the environment.
    *prepare* adds files to the folder before the first command.
    """

    name: str
    steps: tuple[Step, ...]
    results: tuple[str, ...] = ()
    columns: int = COLUMNS
    variables: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda _: None

    def lay_out(self, folder: Path) -> None:
        """Write the files that the commands find."""
        shutil.copytree(RUNS, folder / "runs")
        for name in self.results:
            _write_run_directory(json.loads((RUNS / f"{name}.json").read_bytes()), folder / "results")
        self.prepare(folder)


def example(name: str, *steps: Step, **options) -> Example:
    return Example(name=name, steps=steps, **options)


PUBLISHED = ("S0", "S1", "S2", "S3", "S4")
KINDS = ("comparison", "training", "base-vs-tuned", "inference", "cards")
FORMS = "md,html,json,comment"
WHOLE = ("tuned", "tuned-later", "measured", "small")
ODD = ("failures", "unfinished", "empty", "resumed", "hostile")
CANDIDATES = (
    "same",
    "better",
    "worse",
    "few",
    "noisy",
    "missing",
    "lost",
    "elsewhere",
    "stand-in",
    "slow-machine",
    "old",
)
PAIRS = {
    **{name: ("gate-base", f"gate-{name}") for name in CANDIDATES},
    "itself": ("gate-base", "gate-base"),
    "from-old": ("gate-old", "gate-base"),
    "turns": ("turns-a", "turns-b"),
    "turns-few": ("turns-few-a", "turns-few-b"),
    "turns-alike": ("alike-a", "alike-b"),
    "turns-back": ("turns-b", "turns-a"),
    "other-cases": ("gate-base", "tuned"),
    "later": ("tuned", "tuned-later"),
    "empty": ("empty", "gate-base"),
    "failures": ("gate-base", "failures"),
    "hostile": ("hostile", "hostile"),
    "mixed": ("mixed-a", "mixed-b"),
    "published": ("published:S0", "published:S1"),
    "unfinished": ("resumed", "unfinished"),
    "measured": ("measured", "measured"),
}
GITHUB = {"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output.txt"}
STORED = ("tuned", "tuned-later", "measured", *ODD)


def examples() -> Iterator[Example]:
    yield from _goldens()
    yield from _reports()
    yield from _gates()
    yield from _listings()
    yield from _baselines()
    yield from _exports()
    yield from _models()
    yield from _refusals()
    yield from _helps()
    yield from _entry_points()
    yield from _pytest()


def _goldens() -> Iterator[Example]:
    """Small examples whose files are committed as goldens: every kind of report, every form of a gate's answer."""
    yield example("golden/report", ("report", "runs/small.json", "--kind", "all", "-o", "out"))
    yield example(
        "golden/history",
        ("history", "decode_tokens_per_s"),
        ("history", "decode_tokens_per_s", "--case", "inference/tiny/base", "--format", "md", "-o", "out"),
        prepare=_history_runs,
    )
    files = ("--json", "answer.json", "--md", "answer.md", "--junit", "answer.xml")
    yield example(
        "golden/gate",
        ("gate", "runs/mixed-a.json", "runs/mixed-b.json", *files, "--github"),
        variables=GITHUB,
        columns=80,
    )
    for name in ("same", "worse", "few", "missing", "elsewhere", "turns"):
        yield example(f"golden/gate-{name}", ("gate", *map(_path, PAIRS[name])), columns=80)


def _path(run: str) -> str:
    return run if ":" in run else f"runs/{run}.json"


def _reports() -> Iterator[Example]:
    for name in (*(f"published:{report}" for report in PUBLISHED), *WHOLE, *ODD):
        short = name.rpartition(":")[2]
        yield example(f"report-all/{short}", ("report", _path(name), "--kind", "all", "--format", FORMS, "-o", "out"))
    for name in ("tuned", "unfinished", "failures", "empty"):
        commands = (("report", _path(name), "--kind", kind, "--format", "comment", "-o", kind) for kind in KINDS)
        yield example(f"report-kinds/{name}", *commands)
    two = ("runs/tuned.json", "runs/tuned-later.json")
    yield example("report-all/two-runs", ("report", *two, "--kind", "all", "--format", FORMS, "-o", "out"))
    yield example("report-all/stand-in-and-real", ("report", "runs/tuned.json", "runs/measured.json", "-o", "out"))
    published = [f"published:{report}" for report in PUBLISHED]
    yield example("report-all/published", ("report", *published, "--kind", "all", "--format", FORMS, "-o", "out"))
    yield example(
        "report-all/turns", ("report", "runs/turns-a.json", "runs/turns-b.json", "--format", FORMS, "-o", "out")
    )
    yield example(
        "report-beside/run",
        ("report", "20260102"),
        ("report", "latest", "--kind", "training"),
        ("verify", "results/20260102-030405-abcd/report.md"),
        results=("tuned", "unfinished"),
    )
    yield example(
        "report-own/policy",
        ("report", "runs/tuned.json", "--policy", "own.toml", "--templates", "own", "-o", "out"),
        ("report", "runs/tuned.json", "--kind", "cards", "--policy", "own.toml", "--templates", "own", "-o", "out"),
        ("verify", "out/report-cards.md", "--policy", "own.toml", "--templates", "own"),
        ("verify", "out/report-cards.md"),
        ("verify", "out/report.md", "--templates", "own"),
        prepare=_own_report_policy,
    )
    yield example(
        "report-many/comment",
        ("report", "many.json", "--format", "md,comment", "-o", "out"),
        prepare=_runs_of_many_cases,
    )
    yield example(
        "verify/holds",
        ("report", "runs/gate-base.json", "--kind", "all", "--format", "md,html,json", "-o", "out"),
        *(("verify", f"out/report{kind}.{form}") for kind in ("", "-training") for form in ("md", "html", "json")),
    )
    yield example(
        "verify/changed",
        ("report", "runs/gate-base.json", "--format", "md,json", "-o", "out"),
        _change_a_number_in_each_page,
        ("verify", "out/report.md"),
        ("verify", "out/report.json"),
    )
    yield example(
        "verify/run-gone",
        ("report", "runs/gate-base.json", "-o", "out"),
        _delete_the_run,
        ("verify", "out/report.md"),
    )


def _gates() -> Iterator[Example]:
    for name, (baseline, candidate) in PAIRS.items():
        pair = ("gate", _path(baseline), _path(candidate))
        for columns in (80, 120):
            yield example(f"gate-terminal/{name}-{columns}", pair, columns=columns)
        files = ("--json", "answer.json", "--md", "answer.md", "--junit", "answer.xml")
        yield example(f"gate-files/{name}", (*pair, *files))
        yield example(f"gate-github/{name}", (*pair, "--github"), variables=GITHUB)
    for policy in ("deterministic", "timing", "own.toml"):
        for name in ("worse", "better", "noisy", "missing"):
            pair = ("gate", "runs/gate-base.json", f"runs/gate-{name}.json")
            command = (*pair, "--policy", policy, "--md", "answer.md")
            yield example(f"gate-policy/{policy}-{name}", command, prepare=_own_gate_policy)
    pair = ("gate", "runs/gate-base.json", "runs/gate-worse.json")
    for form in ("json", "md", "junit"):
        yield example(f"gate-stdout/{form}", (*pair, f"--{form}", "-"))
    yield example("gate-stdout/github", (*pair, "--github"), (*pair, "--github", "--md", "-"))
    many = ("gate", "many.json", "fewer.json")
    yield example(
        "gate-many/files",
        (*many, "--json", "answer.json", "--md", "answer.md", "--github"),
        prepare=_runs_of_many_cases,
    )
    yield example(
        "gate-refused/places",
        (*pair, "--json", "-", "--md", "-"),
        (*pair, "--json", "no/such/folder.json"),
        (*pair, "--md", "runs"),
        (*pair, "--json", "one", "--junit", "one"),
    )


def _listings() -> Iterator[Example]:
    yield example("runs/stored", ("runs",), results=STORED)
    yield example("runs/none", ("runs",), ("runs", "--results-dir", "nowhere"))
    yield example("runs/torn", ("runs",), ("show", "latest"), prepare=_torn_runs, results=("tuned", "failures"))
    for name in (*WHOLE, *ODD, "turns-b"):
        yield example(f"show/{name}", ("show", _path(name)))
    for name in PUBLISHED:
        yield example(f"show/{name}", ("show", f"published:{name}"))
    yield example("show/by-name", ("show", "20260102"), ("show", "latest"), ("show", "2026"), results=STORED)
    for name in ("decode_tokens_per_s", "load_s", "train_tokens_per_s", "total_parameters"):
        yield example(f"history/{name}", ("history", name), prepare=_history_runs)
    one = ("history", "decode_tokens_per_s")
    yield example(
        "history/options",
        (*one, "--case", "inference/tiny/base"),
        (*one, "--case", "*/r8"),
        (*one, "--all-runs"),
        (*one, "--case", "none/such/case"),
        ("history", "ttft_s"),
        ("history", "decode_tokens"),
        prepare=_history_runs,
    )
    yield example(
        "history/report",
        (*one, "--format", FORMS, "-o", "out"),
        (*one, "--case", "inference/tiny/base", "--all-runs", "--format", "md", "-o", "one"),
        ("verify", "out/report-history.md"),
        ("verify", "out/report-history.json"),
        prepare=_history_runs,
    )
    yield example("history/few", one, ("history", "test_loss"), results=("tuned", "tuned-later", "failures"))


def _baselines() -> Iterator[Example]:
    save = ("baseline", "save")
    yield example(
        "baseline/life",
        ("baseline", "list"),
        (*save, "gate-old", "--reason", "the first"),
        (*save, "gate-base", "--reason", "a newer one | of <b>May</b>"),
        (*save, "gate-base", "--reason", "once more"),
        (*save, "gate-better", "--name", "fast", "--reason", "for another page, " * 9),
        (*save, "gate-worse", "--name", "fast", "--reason", "worse"),
        (*save, "gate-worse", "--name", "fast", "--reason", "worse, and meant", "--accept-regression"),
        (*save, "gate-few", "--name", "few", "--reason", "few"),
        ("baseline", "list"),
        ("gate", "default", "gate-worse"),
        ("gate", "default@1", "gate-base"),
        ("gate", "default@7", "gate-base"),
        ("show", "fast"),
        ("history", "train_tokens_per_s"),
        results=("gate-old", "gate-base", "gate-better", "gate-worse", "gate-few"),
    )
    yield example(
        "baseline/refused",
        *((*save, run, "--reason", "a reason") for run in ("nothing", "20260203", "20260204", "20260205", "20260301")),
        (*save, "20260102", "--reason", " "),
        (*save, "20260102", "--name", "a/b", "--reason", "a reason"),
        (*save, "20260102"),
        ("baseline",),
        results=STORED,
    )


def _exports() -> Iterator[Example]:
    for form in ("json", "pytest-benchmark", "github-action-benchmark", "csv"):
        for name in ("tuned", "measured", "failures", "hostile"):
            yield example(f"export-{form}/{name}", ("export", _path(name), "--format", form))
    for name in ("tuned", "measured", "failures", "hostile"):
        yield example(f"export-parquet/{name}", ("export", _path(name), "--format", "parquet", "-o", "out.parquet"))
    yield example(
        "export/options",
        ("export", "latest", "-o", "out.json"),
        ("export", "out.json", "--format", "github-action-benchmark", "--better", "higher"),
        ("export", "published:S2", "--format", "csv"),
        ("export", "latest", "--format", "xml"),
        ("export", "latest", "--format", "github-action-benchmark", "--better", "more"),
        ("export", "latest", "--better", "higher"),
        ("export", "latest", "-o", "no/such/folder/out.json"),
        ("export", "latest", "-o", "runs"),
        results=("resumed",),
    )


def _models() -> Iterator[Example]:
    yield example("models/list", ("models",))
    yield example("models/adapted", ("models", "--lora", "qv-r16"))
    for name in ("smollm2", "gpt2"):
        yield example(f"models/{name}", ("models", "show", name))
    yield example("models/tinyllama-adapted", ("models", "show", "tinyllama", "--lora", "all-r8"))
    yield example(
        "models/refused",
        ("models", "show", "smollm3"),
        ("models", "show", "smollm2", "--lora", "none-such"),
        ("models", "show", "path:nowhere"),
        ("models", "show", "hf:not-a-name"),
        ("models", "fetch", "smollm2", "--weights", "ftp"),
        ("models", "fetch", "smollm2", "--quantize", "3"),
        ("models", "fetch", "nothing"),
        ("models", "--lora", "bad.toml"),
        prepare=_bad_adapter,
    )


def _refusals() -> Iterator[Example]:
    for command in ("show", "report", "export"):
        yield example(
            f"refused/{command}-unknown", (command, "nothing"), (command, "S0"), (command, "runs"), results=STORED
        )
        yield example(
            f"refused/{command}-torn", (command, "torn.json"), (command, "foreign.json"), prepare=_files_that_are_wrong
        )
    yield example(
        "refused/gate",
        ("gate", "nothing", "runs/tuned.json"),
        ("gate", "runs/tuned.json", "torn.json"),
        ("gate", "runs/gate-base.json", "runs/gate-same.json", "--policy", "lenient"),
        ("gate", "runs/gate-base.json", "runs/gate-same.json", "--policy", "bad-gate.toml"),
        ("gate", "runs/gate-base.json", "runs/gate-same.json", "--policy", "broken.toml"),
        ("gate", "runs/gate-base.json", "runs/gate-same.json", "--policy", "nowhere.toml"),
        ("gate", "runs/gate-base.json"),
        prepare=_files_that_are_wrong,
    )
    yield example(
        "refused/report",
        ("report", "runs/tuned.json", "--kind", "poem"),
        ("report", "runs/tuned.json", "--format", "pdf"),
        ("report", "runs/tuned.json", "runs/tuned.json"),
        ("report", "runs/tuned.json", "--policy", "bad-policy.toml"),
        ("report", "runs/tuned.json", "--policy", "broken.toml"),
        ("report", "runs/tuned.json", "--policy", "nowhere.toml"),
        ("report", "runs/tuned.json", "--templates", "nowhere"),
        ("report", "runs/tuned.json", "--templates", "no-template"),
        ("report", "runs/tuned.json", "--templates", "no-such-field"),
        ("report", "runs/tuned.json", "--format", "html", "--templates", "no-such-field"),
        ("report", "published:S9"),
        ("report", "runs/tuned.json", "-o", "torn.json"),
        ("verify", "runs/tuned.json"),
        ("verify", "nowhere.md"),
        ("verify", "plain.md"),
        prepare=_files_that_are_wrong,
    )
    yield example(
        "refused/usage",
        (),
        ("measure",),
        ("show",),
        ("show", "a", "b"),
        ("runs", "--all"),
        ("history",),
        ("--version",),
        ("ab", "same", "same"),
        ("ab", "same", "same", "--"),
        ("ab", "same", "same", "suites/", "-k", "x"),
        ("ab", "pip:", "git:", "--", "suites/"),
        ("ab", "conda:x", "same", "--", "suites/"),
        ("ab", "env:X", "same", "--", "suites/"),
        ("ab", "same", "same", "--pairs", "0", "--budget", "-1", "--", "suites/"),
        ("ab", "same", "same", "--", "suites/", "--repeats=3", "-x", "--resume", "latest"),
        ("ab", "same", "same", "--policy", "lenient", "--", "suites/"),
    )


def _helps() -> Iterator[Example]:
    commands = ("doctor", "runs", "show", "report", "verify", "gate", "baseline", "history", "ab", "export", "models")
    actions = (("baseline", "save"), ("baseline", "list"), ("models", "show"), ("models", "fetch"))
    for columns in (80, 120):
        for words in ((), *((name,) for name in commands), *actions):
            yield example(f"help-{columns}/{'-'.join(words) or 'tunebench'}", (*words, "--help"), columns=columns)


def _entry_points() -> Iterator[Example]:
    yield example("entry-point/module", ("python", "-m", "harness"), ("python", "-m", "harness", "--help"))


def _pytest() -> Iterator[Example]:
    for columns in (80, 120):
        yield example(f"pytest/help-{columns}", ("pytest", "suites", "--help"), columns=columns)
    collect = ("pytest", "suites", "--collect-only", "-q")
    yield example(
        "pytest/collect",
        collect,
        (*collect, "--models", "smollm2,tinyllama,qwen", "--lora", "qv-r16,all-r8", "--profile", "standard"),
        (*collect, "--models", "gpt2", "--quantize", "4"),
        (*collect, "--models", "gpt2", "--profile", "reference"),
    )
    yield example(
        "pytest/refused",
        (*collect, "--models", "smollm3,tinyllama2"),
        (*collect, "--lora", "qv-r17", "--profile", "huge"),
        (*collect, "--quantize", "4", "--profile", "reference"),
        (*collect, "--repeats", "0", "--memory-limit", "much"),
        (*collect, "--gate", "nothing"),
        (*collect, "--gate", "runs/gate-base.json", "--gate-policy", "lenient"),
        (*collect, "--resume", "nothing"),
        (*collect, "--resume", "runs/tuned.json"),
        (*collect, "--run-id", "a/b"),
    )


# --- files that an example finds ---


def _write_run_directory(bundle: dict, results: Path) -> None:
    """Write a bundle the way a session stores a run: run.json, and one file per record."""
    records = bundle.pop("records")
    directory = results / bundle["run"]["id"]
    directory.mkdir(parents=True)
    _write_json(directory / "run.json", bundle)
    for record in records:
        file = {"schema": bundle["schema"], "run_id": bundle["run"]["id"], "record": record}
        _write_json(directory / f"{record['case'].replace('/', '+')}.json", file)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _history_runs(folder: Path) -> None:
    """Write 20 daily runs, two of whose metrics shift, one side of a comparison, and one run of a gate."""
    for line in (RUNS / "history.jsonl").read_bytes().splitlines():
        _write_run_directory(json.loads(line), folder / "results")


def _torn_runs(folder: Path) -> None:
    """Cut one record short, put a record of another run beside it, and break another run's run.json."""
    directory = folder / "results" / "20260102-030405-abcd"
    record = directory / "inference+tiny+r8.json"
    record.write_bytes(record.read_bytes()[:300])
    text = (directory / "inference+tiny+base.json").read_text(encoding="utf-8")
    foreign = text.replace("20260102-030405-abcd", "another")
    (directory / "inference+tiny+other.json").write_text(foreign, encoding="utf-8")
    (folder / "results" / "20260203-failures" / "run.json").write_text("{")


def _files_that_are_wrong(folder: Path) -> None:
    """Write files that are not what a command expects."""
    bundle = (RUNS / "gate-base.json").read_text(encoding="utf-8")
    texts = {
        "torn.json": bundle[:500],
        "foreign.json": '{"schema": 99, "run": {}}',
        "plain.md": "# A page of somebody else\n",
        "broken.toml": "[[rule]\n",
        "bad-gate.toml": '[[rule]]\nmetrics = "ttft_s"\ntolerance = -1\n'
        '[[rule]]\nmetric = 3\nignore = ""\nrole = "needed"\n',
        "bad-policy.toml": 'name = 3\n[[use_case]]\nname = "x"\nlimits = 4\n[ratings]\n',
        "no-template/report.md.j2": "{% for %}",
        "no-such-field/report.md.j2": "{{ report.sections[0].heading }}",
        "no-such-field/report.html.j2": "{{ report.sections[0].heading }}",
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _own_report_policy(folder: Path) -> None:
    """Write a report policy and a template as a user would."""
    (folder / "own.toml").write_text(
        '[rating]\notherwise = "shaky"\nsteps = [{ below = 0.01, word = "firm" }]\n\n'
        '[use_case.kiosk]\nrank = { metric = "decode_tokens_per_s" }\n'
        'limits = [{ metric = "ttft_s", statistic = "p95", at_most = 0.4 }]\n\n'
        '[cards]\nintended_use = "Questions about <b>the sea</b>."\nlimitations = "English alone."\n'
    )
    (folder / "own").mkdir()
    text = "{{ report.title }}\n{% for line in report.headline %}{{ line }}\n{% endfor %}"
    (folder / "own" / "comparison.md.j2").write_text(text)


def _own_gate_policy(folder: Path) -> None:
    """Write a gate policy with every kind of rule: a rule that has expired, and one that matches nothing, too."""
    (folder / "own.toml").write_text(
        '[[rule]]\nmetric = "train_tokens_per_s"\ntolerance = 0.5\n\n'
        '[[rule]]\nmetric = "val_loss_*"\nignore = "the data changed"\nexpires = 2026-12-31\n\n'
        '[[rule]]\nmetric = "disk_bytes"\nignore = "known"\nexpires = 2026-05-01\n\n'
        '[[rule]]\nmetric = "load_s"\nlabel = "cold"\nrole = "required"\n\n'
        '[[rule]]\ncase = "inference/none/*"\nmetric = "ttft_s"\ntolerance = 0.2\n'
    )


def _runs_of_many_cases(folder: Path) -> None:
    """Write two runs with so many cases that pages are shortened; the second is slower and lacks ten cases."""
    for name, source, count in (("many", "gate-base", 150), ("fewer", "gate-worse", 140)):
        bundle = json.loads((RUNS / f"{source}.json").read_bytes())
        record = next(record for record in bundle["records"] if record["suite"] == "inference")
        bundle["records"] = [{**record, "case": f"inference/tiny/r{number}"} for number in range(count)]
        _write_json(folder / f"{name}.json", bundle)


def _bad_adapter(folder: Path) -> None:
    (folder / "bad.toml").write_text("rank = 0\nranks = 8\nkeys = 3\n")


def _change_a_number_in_each_page(folder: Path) -> None:
    for page in (folder / "out").glob("report.*"):
        page.write_text(page.read_text(encoding="utf-8").replace("440", "550"), encoding="utf-8")


def _delete_the_run(folder: Path) -> None:
    (folder / "runs" / "gate-base.json").unlink()
