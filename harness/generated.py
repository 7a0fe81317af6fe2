"""Files of the repository that are generated from the code: `python -m harness.generated` rewrites them.

A test fails while one of them differs from the code.
"""

from pathlib import Path

from harness.results import atomic_write, codec, run_files
from harness.results.metrics import DEFINITIONS
from harness.results.records import Bundle

_ROOT = Path(__file__).parents[1]


def json_schema() -> str:
    """Return the JSON Schema of every result file: a bundle, a run.json, a record, or the sample of one process."""
    schema = codec.json_schema([Bundle, run_files.RunFile, run_files.RecordFile, run_files.ProcessFile])
    for kind in schema["anyOf"]:
        if kind["$ref"].endswith("/RunFile"):
            kind["not"] = {"required": ["records"]}  # else a bundle with broken records would pass as a run.json
    return codec.encode(schema, indent=1).decode()


def metrics_page() -> str:
    """Return the docs page of the metrics, from the registry."""
    lines = [
        "# What each metric means",
        "",
        "Made from the registry in `harness/results/metrics.py` by `python -m harness.generated`.",
        "Base units: s, byte, token.",
        "",
        "| metric | unit | better | kind | definition | source |",
        "|:--|:--|:--|:--|:--|:--|",
    ]
    lines += [
        f"| `{row.name}` | {row.unit} | {row.better.value} | {row.kind.value} | {row.definition} | {row.source} |"
        for row in DEFINITIONS.values()
    ]
    return "\n".join(lines) + "\n"


FILES = {"harness/schema.json": json_schema, "docs/metrics.md": metrics_page}


def main() -> None:
    """Rewrite every generated file."""
    for name, make in FILES.items():
        atomic_write.write_text(_ROOT / name, make())


if __name__ == "__main__":
    main()
