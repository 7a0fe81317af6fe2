"""Sample runs as a session would store them, and helpers that read a rendered report back.

Every builder takes as keywords the fields that matter to a test; the others have plain, valid defaults.
"""

from dataclasses import replace
from html.parser import HTMLParser

from markdown_it import MarkdownIt

from harness.inputs import config_files
from harness.report.render.render import render
from harness.results import metrics, store
from harness.results.records import Artifact, Bundle, Environment, Key, Output, Record, RunInfo, Series, Status, Weights

RUN_ID = "20260102-030405-abcd"


def weights(**changes):
    plain = Weights(source="hub", sha256="a" * 64, bytes=3 * 2**20, repository="org/tiny", revision="r1")
    return replace(plain, **changes)


def key(**changes):
    plain = Key(
        model="tiny",
        weights=weights(),
        tokenizer="b" * 64,
        dtype="float32",
        quantization=None,
        adapter=None,
        dataset=None,
        device="gpu: One",
        settings={"output_tokens": 8},
    )
    return replace(plain, **changes)


def measured(name, *processes, **others):
    """Return a metric of the registry, with one tuple or one number per process."""
    samples = tuple(process if isinstance(process, tuple) else (process,) for process in processes)
    return metrics.metric(name, samples or None, **others)


def record(case="inference/tiny/base", **changes):
    plain = Record(
        case=case,
        suite=case.partition("/")[0],
        status=Status.OK,
        reason=None,
        started_at="2026-01-02T03:04:06Z",
        wall_s=1.5,
        key=key(),
        metrics={},
    )
    return replace(plain, **changes)


def failed(case="inference/tiny/base", *, status=Status.FAILED, reason="it broke", **changes):
    return record(case, **{"status": status, "reason": reason, "key": None, **changes})


def output(**changes):
    plain = Output(prompt_id="p1", prompt="Say hi.", text="hi", finish_reason="stop", prompt_tokens=3, output_tokens=2)
    return replace(plain, **changes)


def losses(*points, process=1):
    """Return a series of (iteration, nat/token) points."""
    x, y = zip(*points, strict=True)
    return Series(unit="nat/token", x_unit="iteration", x=x, y=y, process=process)


def environment(**changes):
    plain = Environment(
        device={"name": "gpu: One", "type": "gpu"},
        os={
            "system": "Linux",
            "release": "6.1",
            "machine": "x86_64",
            "python": "3.12.1",
            "processor": "One",
            "cores": 2,
            "threads": 4,
            "memory_bytes": 8 * 2**30,
        },
        packages={"mlx": "0.31.0", "mlx-metal": None},
        blas={"library": "openblas 1", "fast": True, "problem": None},
        roofline={"gemm_flops_per_s": 2.5e9, "numpy_gemm_flops_per_s": 3e12, "copy_bytes_per_s": 4e9},
        power={"load_average_1min": 0.25},
        compiler="g++ 12",
    )
    return replace(plain, **changes)


def run_info(**changes):
    plain = RunInfo(
        id=RUN_ID,
        started_at="2026-01-02T03:04:05Z",
        finished_at="2026-01-02T03:05:00Z",
        command=("pytest", "suites/"),
        profile="standard",
        git={"commit": "0123456789abcdef", "dirty": False},
        options={"models": ["tiny"], "repeats": 6},
    )
    return replace(plain, **changes)


def bundle(*records, environment=environment(), **run_changes):  # noqa: B008 - it is frozen
    return Bundle(schema=1, run=run_info(**run_changes), environment=environment, records=records)


def stored(results_dir, *bundles):
    """Write runs as a session does; return their directories."""
    directories = []
    for bundle in bundles:
        directory = results_dir / bundle.run.id
        store.write_run(directory, bundle.run, bundle.environment)
        for record in bundle.records:
            store.write_record(directory, bundle.run.id, record)
        directories.append(directory)
    return directories


def full_record(case="training/tiny/r8", **changes):
    """Return a record with a value in every field."""
    return record(
        case,
        **{
            "key": key(
                adapter={"name": "r8", "rank": 8, "keys": ["q_proj", "v_proj"]},
                dataset={"name": "aphorisms", "sha256": "c" * 64, "rows": {"train": 8}},
                quantization={"bits": 4},
            ),
            "metrics": {
                "train_tokens_per_s": measured("train_tokens_per_s", 90.0, 100.0, 130.0),
                "step_s": measured("step_s", (0.25, 0.5, 0.75), (0.5, 0.5, 0.5), (1.0, 0.75, 0.5)),
                "padding_share": measured("padding_share", 0.125, 0.125, 0.125),
                "train_wall_s": measured("train_wall_s", 180.0, 240.0, 600.0),
                "val_loss_best": measured("val_loss_best", 2.5, 2.25, 2.0),
                "val_loss_best_iteration": measured("val_loss_best_iteration", 10.0, 10.0, 20.0),
                "total_parameters": measured("total_parameters", 134515008.0),
                "adapter_bytes": measured("adapter_bytes", 2560.0),
                "train_bytes_per_s": measured("train_bytes_per_s", 1500.0),
                "overfit_gap": measured("overfit_gap", 0.0),
                "first_step_s": measured("first_step_s", reason="the clock stood still"),
                "peak_active_bytes": measured(
                    "peak_active_bytes", (1024.0, 3.0 * 2**30), (2048.0, 5.0 * 2**30), labels=("load", "train")
                ),
                "peak_cache_bytes": measured("peak_cache_bytes", (0.0, 512.0), (0.0, 512.0), labels=("load", "train")),
            },
            "series": {
                "train_loss": losses((1, 3.5), (10, 2.75)),
                "val_loss": losses((0, 4.0), (10, 2.5)),
            },
            "outputs": (output(),),
            "artifacts": (Artifact(path="artifacts/x", sha256="d" * 64, bytes=12),),
            "notes": ("a note",),
            **changes,
        },
    )


def small_run():
    """Return the run of the golden report: a tuned model that decodes faster, a tie, and a case out of memory."""
    base = record(
        "inference/tiny/base",
        metrics={
            "ttft_s": measured("ttft_s", 0.5, 0.25, 0.75, 0.5, 0.5, 0.25),
            "decode_tokens_per_s": measured("decode_tokens_per_s", 10.0, 11.0, 12.0, 10.0, 11.0, 12.0),
        },
    )
    tuned = record(
        "inference/tiny/r8",
        key=key(adapter={"name": "r8", "rank": 8}),
        metrics={
            "ttft_s": measured("ttft_s", 0.5, 0.75, 0.25, 0.5, 0.25, 0.5),
            "decode_tokens_per_s": measured("decode_tokens_per_s", 20.0, 22.0, 24.0, 20.0, 22.0, 24.0),
        },
    )
    lost = failed("evaluation/tiny/base", status=Status.OOM, reason="killed at 7.5 GiB | of 8")
    return bundle(lost, base, tuned)


# --- a report read back ---

POLICY = config_files.read_policy(None)


def markdown(report):
    """Return a report's Markdown page without figures."""
    return render(report, "md", pictures={})


def section(report, title):
    """Return the only section with this title."""
    (match,) = [section for section in report.sections if section.title == title]
    return match


def titles(report):
    return [section.title for section in report.sections]


def grid(report, title):
    """Return the rows of all tables of a section, each as a dict from column to cell text."""
    return [
        dict(zip(table.columns, (cell.text for cell in cells), strict=True))
        for table in section(report, title).tables
        for cells in table.rows
    ]


def row(report, title, first):
    """Return the only row of a section whose first cell is *first*."""
    (match,) = [cells for cells in grid(report, title) if next(iter(cells.values())) == first]
    return match


def notes(report, title):
    """Return the footnotes of a section."""
    return [note for table in section(report, title).tables for note in table.notes]


class Page(HTMLParser):
    """A Markdown page as a browser shows it: tags with their attributes, and tables as text."""

    def __init__(self, markdown):
        super().__init__()
        self.tags, self.text, self.tables = [], "", []
        self._cell = None
        self.feed(MarkdownIt("commonmark").enable("table").render(markdown))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self._cell = ""

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self.tables[-1][-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data
