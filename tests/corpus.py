"""Write what the program prints and writes today, from stored runs alone, to see whether a change alters any of it.

    python tests/corpus.py OUT                    write every file, and OUT/MANIFEST with the SHA-256 of each
    python tests/corpus.py OUT --against OTHER    compare them with an earlier OUT as well; exit 1 if they differ
    python tests/corpus.py OUT --only PATTERN     write only the examples whose names match; may be repeated
    python tests/corpus.py --list                 print the names of the examples

An example is a short list of commands that run one after the other in a folder of their own; `corpus_examples.py` has
all of them. OUT/EXAMPLE holds `transcript.txt`, with the arguments, the exit code, standard output and standard error
of each command, and every file that the commands wrote. No model is loaded and nothing is measured. The only import
from the program is `harness.cli`, so modules inside the program can be renamed while this script stays as it is.

The stored runs lie in `tests/corpus_runs/`: each `.json` file is a bundle, and `history.jsonl` holds a bundle per line.

Three functions remove what would differ between two runs of this script or between two checkouts, and nothing else
does: `_environment`, `_freeze_the_clock` and `_without_places`.
"""

import argparse
import datetime as dt
import difflib
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from fnmatch import fnmatchcase
from pathlib import Path

from corpus_examples import COLUMNS, Command, Example, examples

ROOT = Path(__file__).parents[1]
MANIFEST, SCHEMA, TRANSCRIPT = "MANIFEST", "schema.json", "transcript.txt"
NOW = dt.datetime(2026, 6, 1, 12, 0, 0, tzinfo=dt.UTC)  # later than every stored run
PROGRAMS = {"pytest", "python"}  # a command that begins with one of these is not tunebench's

_MOST_FILES, _MOST_LINES, _MOST_CHARACTERS = 20, 6, 160  # of a difference that is shown


# --- what must not differ from one run to the next ---


def _environment(home: Path) -> dict[str, str]:
    """The environment of a user who has no files yet, no network, and a terminal of a known width."""
    inherited = ("PATH", "PYTHONHASHSEED", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in inherited if name in os.environ},
        "HOME": str(home),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "TUNEBENCH_CACHE": str(home / "cache"),
        "HF_HUB_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": str(COLUMNS),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _freeze_the_clock() -> None:
    """Make `datetime.now()` return NOW for every module that is imported later."""
    real = dt.datetime

    class AnyDatetime(type):
        def __instancecheck__(cls, value):
            return isinstance(value, real)

    class FrozenDatetime(real, metaclass=AnyDatetime):
        __slots__ = ()  # as large as the real one: compiled libraries check that

        @classmethod
        def now(cls, tz=None):
            return NOW.astimezone(tz)

    dt.datetime = FrozenDatetime  # type: ignore[misc]


def _without_places(data: bytes, folder: Path) -> bytes:
    """Remove the folders of this run, and the module of a class that Jinja names in an error."""
    data = data.replace(str(folder).encode(), b"FOLDER").replace(str(ROOT).encode(), b"CHECKOUT")
    return re.sub(rb"'harness[a-z_.]*\.(\w+ object)'", rb"'\1'", data)


# --- running examples ---


def write(out: Path, patterns: Sequence[str]) -> None:
    """Run the examples whose names match in a new process with its own environment; then write the manifest."""
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, str(out.resolve()), "--inside"]
    command += [word for pattern in patterns for word in ("--only", pattern)]
    with tempfile.TemporaryDirectory(prefix="corpus-home-") as home:
        subprocess.run(command, env=_environment(Path(home).resolve()), check=True)
    shutil.copyfile(ROOT / "harness" / SCHEMA, out / SCHEMA)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    lines = (f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (out / MANIFEST).write_text("".join(lines), encoding="utf-8")


def _run_all(out: Path, chosen: Sequence[Example]) -> None:
    """Run the examples in this very process, which has the environment of `_environment`."""
    _freeze_the_clock()
    sys.path[0] = str(ROOT)  # in place of the folder of this file
    import matplotlib.font_manager  # noqa: F401, PLC0415 - it searches for fonts once, and logs that it does

    with tempfile.TemporaryDirectory(prefix="corpus-") as temporary:
        folder = Path(temporary).resolve() / "folder"
        for example in chosen:
            folder.mkdir()
            os.chdir(folder)
            for name, data in _run(example, folder).items():
                path = out / example.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_without_places(data, folder))
            os.chdir(temporary)
            shutil.rmtree(folder)


def _run(example: Example, folder: Path) -> Mapping[str, bytes]:
    """Run the steps of an example; return the transcript and each file that is new or changed, by name."""
    variables = {"COLUMNS": str(example.columns), **example.variables}
    os.environ |= variables
    example.lay_out(folder)
    originals = _contents(folder)
    transcript = b""
    for step in example.steps:
        if callable(step):
            step(folder)
        else:
            transcript += _transcript(step, folder)
    for name in variables:
        del os.environ[name]
    changed = {name: data for name, data in _contents(folder).items() if originals.get(name) != data}
    return {TRANSCRIPT: transcript} | dict(_comparable(name, data) for name, data in changed.items())


def _contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _comparable(name: str, data: bytes) -> tuple[str, bytes]:
    """Turn a Parquet file, whose bytes change with pyarrow's version, into its schema and rows; keep others as is."""
    if not name.endswith(".parquet"):
        return name, data
    from pyarrow import parquet  # noqa: PLC0415 - only these examples need it

    table = parquet.read_table(io.BytesIO(data))
    lines = [f"{column.name}: {column.type}" for column in table.schema]
    lines += [json.dumps(row, ensure_ascii=False) for row in table.to_pylist()]
    return f"{name}.txt", "".join(f"{line}\n" for line in lines).encode()


def _transcript(command: Command, folder: Path) -> bytes:
    """Run a command; return it as it is typed, its exit code, and what it wrote to either stream."""
    foreign = bool(command) and command[0] in PROGRAMS
    code, output, errors = _call_program(command, folder) if foreign else _call_tunebench(command)
    typed = shlex.join(command if foreign else ("tunebench", *command))
    parts = [f"$ {typed}\nexit code: {code}\n".encode()]
    parts += [b"--- stdout\n" + output] if output else []
    parts += [b"--- stderr\n" + errors] if errors else []
    return b"".join(parts) + b"\n"


def _call_tunebench(command: Command) -> tuple[int, bytes, bytes]:
    """Call the program in this process, the way its console script does."""
    from harness.cli import main  # noqa: PLC0415 - the clock has to be frozen first

    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in "12")
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            code = main(list(command))
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
    return code, output.buffer.getvalue(), errors.buffer.getvalue()


def _call_program(command: Command, folder: Path) -> tuple[int, bytes, bytes]:
    """Run Python in the example's folder, or pytest on the suites; of pytest's help only our own options are kept."""
    program, *arguments = command
    if program == "python":
        process = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, check=False)
        return process.returncode, process.stdout, process.stderr
    arguments = [str(folder / word) if word.startswith("runs/") else word for word in arguments]
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "--results-dir", folder / "results"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    lines = process.stdout.decode().splitlines()
    if "--help" in arguments:
        start = next(number for number, line in enumerate(lines) if line.startswith("benchmarks of language models"))
        lines = lines[start : lines.index("", start)]
    kept = [line for line in lines if not re.search(r" in \d+\.\d+s", line)]  # how long pytest took
    return process.returncode, "".join(f"{line}\n" for line in kept).encode(), process.stderr


# --- comparing two folders ---


def differences(out: Path, other: Path, chosen: Sequence[Example]) -> Iterator[str]:
    """Yield a line for each file of the examples that differs, and the first lines of it that do."""
    prefixes = (SCHEMA, *(f"{example.name}/" for example in chosen))
    new, old = (
        {name: digest for name, digest in _manifest(folder).items() if name.startswith(prefixes)}
        for folder in (out, other)
    )
    names = [name for name in sorted(new | old) if new.get(name) != old.get(name)]
    for name in names[:_MOST_FILES]:
        if name in new and name in old:
            yield f"{name}: differs"
            yield from _differing_lines(other / name, out / name)
        else:
            yield f"{name}: only in {out if name in new else other}"
    if len(names) > _MOST_FILES:
        yield f"and {len(names) - _MOST_FILES} more files"


def _manifest(folder: Path) -> dict[str, str]:
    lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def _differing_lines(old_path: Path, new_path: Path) -> Iterator[str]:
    """Yield the first pairs of lines that differ, each from shortly before the first character that does."""
    try:
        old, new = (path.read_text(encoding="utf-8").splitlines() for path in (old_path, new_path))
    except UnicodeDecodeError:
        yield "    not a text"
        return
    left = _MOST_LINES
    for kind, old_start, old_end, new_start, new_end in difflib.SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal" or left <= 0:
            continue
        pairs = zip(_padded(old[old_start:old_end], left), _padded(new[new_start:new_end], left), strict=True)
        for number, (before, after) in enumerate(pairs, start=old_start + 1):
            if before is after is None:
                break
            start = max(0, _first_difference(before or "", after or "") - 40)
            for sign, line in (("-", before), ("+", after)):
                if line is not None:
                    yield f"    {number}{sign} {line[start : start + _MOST_CHARACTERS]}"
            left -= 1


def _first_difference(a: str, b: str) -> int:
    return next((place for place, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), 0)


def _padded(lines: Sequence[str], count: int) -> list[str | None]:
    return [*lines[:count], *[None] * (count - len(lines))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what the program prints and writes from stored runs.")
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="an empty folder, or one to be made")
    parser.add_argument("--against", type=Path, metavar="OTHER", help="a folder that was written earlier")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="names of examples, such as 'gate-files/*'")
    parser.add_argument("--list", action="store_true", help="print the names of the examples")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    patterns = arguments.only or ["*"]
    chosen = [example for example in examples() if any(fnmatchcase(example.name, pattern) for pattern in patterns)]
    if not chosen:
        parser.error(f"--only {' '.join(patterns)}: no example has such a name; --list prints all names")
    if arguments.list:
        sys.stdout.write("".join(f"{example.name}\n" for example in chosen))
        return 0
    if arguments.out is None:
        parser.error("OUT is missing; give a folder to write to")
    if arguments.inside:
        _run_all(arguments.out, chosen)
        return 0
    if arguments.out.exists() and any(arguments.out.iterdir()):
        parser.error(f"{arguments.out} is not empty; remove it, or give another folder")
    if arguments.against and not (arguments.against / MANIFEST).is_file():
        parser.error(f"--against {arguments.against}: holds no {MANIFEST}; give a folder that this script wrote")
    write(arguments.out, patterns)
    if arguments.against is None:
        return 0
    lines = [*differences(arguments.out, arguments.against, chosen)]
    sys.stdout.write("".join(f"{line}\n" for line in lines) or "the same, byte for byte\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
