"""What each command of `tunebench` does: parsed arguments to exit code. It writes to standard output and error.

What a command needs is imported when it runs, so that `tunebench --help` is there at once.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, NotABaseline

if TYPE_CHECKING:
    from harness.commands.gate_answers import Places
    from harness.gate.verdicts import GateResult

Arguments = Any  # what argparse made of the command line: a namespace of the options that `cli` declares


def doctor(arguments: Arguments) -> int:
    """Tell whether this machine's numbers can be trusted."""
    from harness.commands import doctor_facts, listings
    from harness.machine import doctor
    from harness.results import codec

    its = doctor.examine(doctor_facts.gather(arguments.results_dir))
    sys.stdout.write(codec.encode(its, indent=1).decode() if arguments.json else listings.doctor(its))
    return 0 if its.ok else 1


def runs(arguments: Arguments) -> int:
    """List the stored runs, and what could not be read."""
    from harness.commands import listings
    from harness.results import store

    found = store.find_runs(arguments.results_dir)
    for problem in found.problems:
        sys.stderr.write(f"skipped: {problem}\n")
    sys.stdout.write(listings.runs(found.runs, arguments.results_dir))
    return 0


def show(arguments: Arguments) -> int:
    """Show one run."""
    from harness.commands import listings
    from harness.results import locate, store

    bundle = store.read_run(locate.locate(arguments.run, arguments.results_dir))
    sys.stdout.write(listings.run(bundle))
    return 0


def report(arguments: Arguments) -> int:
    """Render reports from stored runs."""
    from harness.report import build
    from harness.results import atomic_write, locate

    runs = build.read(locate.locate(name, arguments.results_dir) for name in arguments.run)
    beside = runs[0].path if runs[0].path.is_dir() else Path()
    directory = arguments.output or beside
    every = [kind for kind in build.KINDS if build.suits(kind, runs)]
    kinds = every if arguments.kind == build.ALL else [arguments.kind]
    forms = list(dict.fromkeys(arguments.format.split(",")))
    for kind in kinds:
        own = {"policy": arguments.policy, "templates": arguments.templates}
        made = build.build(kind, runs, beside=directory, **own)
        for path in build.write(made, directory, forms, templates=arguments.templates):
            sys.stdout.write(f"{path}\n")
        if kind == "cards" and "md" in forms:
            for name, content in build.card_files(runs, policy=arguments.policy):
                atomic_write.write_bytes(directory / name, content)
                sys.stdout.write(f"{directory / name}\n")
    return 0


def verify(arguments: Arguments) -> int:
    """Make a report again, and say what does not hold."""
    from harness.report import verify as verifying

    its = verifying.verify(
        arguments.report, arguments.results_dir, templates=arguments.templates, policy=arguments.policy
    )
    verdict = f"{arguments.report}: {'does not hold' if its.problems else 'holds'}"
    sys.stdout.write("\n".join([*its.problems, *its.remarks, verdict]) + "\n")
    return 1 if its.problems else 0


def gate(arguments: Arguments) -> int:
    """Judge a stored run against another."""
    from harness.commands import gate_answers
    from harness.gate import decide, policy_file
    from harness.machine.clock import utc_now
    from harness.results import locate, store

    gate_answers.check(_places(arguments))
    names = (arguments.baseline, arguments.candidate)
    paths = [locate.locate(name, arguments.results_dir) for name in names]
    baseline, candidate = map(store.read_run, paths)
    policy = policy_file.read_gate_policy(arguments.policy)
    result = decide.gate(baseline, candidate, policy, today=utc_now())
    return _answer(_found(result, paths, names), arguments)


def _answer(result: "GateResult", arguments: Arguments, stored: str = "") -> int:
    """Show a gate's answer everywhere it was asked for, the verdict before anything that can fail; its exit code.

    *stored* says where the runs are, if that is news.
    """
    from harness.commands import gate_answers, gate_listing

    places = _places(arguments)
    shown = sys.stderr if places.on_stdout else sys.stdout
    columns = shutil.get_terminal_size().columns
    shown.write(stored + gate_listing.gate(result, columns) + gate_answers.lines(result, places))
    shown.flush()
    gate_answers.write(result, places, sys.stdout.write)
    return result.exit_code


def _places(arguments: Arguments) -> "Places":
    from harness.commands import gate_answers

    return gate_answers.Places(
        json=arguments.json,
        md=arguments.md,
        junit=arguments.junit,
        github=os.environ if arguments.github else None,
    )


def _found(result: "GateResult", paths: Sequence[Path], typed: Sequence[str | None]) -> "GateResult":
    """The answer with where both sides were read, as it can be typed here."""
    from harness.gate import provenance
    from harness.paths import without_home
    from harness.results import baselines

    here = Path.cwd()
    near = [path.relative_to(here) if path.is_relative_to(here) else path for path in paths]
    return provenance.found(
        result,
        typed=[name and without_home(name) for name in typed],
        numbers=[baselines.number(path) for path in paths],
        paths=[without_home(str(path)) for path in near],
    )


def baseline_save(arguments: Arguments) -> int:
    """Make a run the baseline of a name."""
    from harness.commands import listings
    from harness.gate import save_baseline
    from harness.results import baselines, locate, store

    bundle = store.read_run(locate.locate(arguments.run, arguments.results_dir))
    own = {"results_dir": arguments.results_dir, "accept": arguments.accept_regression}
    try:
        line = save_baseline.save(bundle, arguments.name, arguments.reason, **own)
    except NotABaseline as error:
        sys.stderr.write(f"tunebench: {error}\n")
        return 1
    sys.stdout.write(listings.saved(line, baselines.directory(arguments.results_dir, arguments.name)))
    return 0


def baseline_list(arguments: Arguments) -> int:
    """List the baselines."""
    from harness.commands import listings
    from harness.machine import clock
    from harness.results import baselines

    shelves, problems = baselines.read(arguments.results_dir)
    for problem in problems:
        sys.stderr.write(f"skipped: {problem}\n")
    sys.stdout.write(listings.baselines(shelves, arguments.results_dir, clock.utc_now()))
    return 0


def history(arguments: Arguments) -> int:
    """Show a metric over all stored runs."""
    from harness.analysis import history as timelines
    from harness.commands import listings
    from harness.report import build, history_runs

    found = history_runs.read(arguments.results_dir, arguments.metric, arguments.case, all_runs=arguments.all_runs)
    for problem in found.problems:
        sys.stderr.write(f"skipped: {problem}\n")
    lines = timelines.timelines([run.bundle for run in found.runs], arguments.metric)
    if arguments.format is None:
        sys.stdout.write(listings.history(lines, case=arguments.case, left_out=found.left_out))
    else:
        options = {"metric": arguments.metric} | ({"case": arguments.case} if arguments.case else {})
        options |= {"left_out": str(found.left_out)} if found.left_out else {}
        report = build.build("history", found.runs, beside=arguments.output, options=options)
        for path in build.write(report, arguments.output, list(dict.fromkeys(arguments.format.split(",")))):
            sys.stdout.write(f"{path}\n")
    return 1 if any(line.worsened for line in lines) else 0


def ab(arguments: Arguments) -> int:
    """Measure two environments in turns and judge one against the other."""
    from harness.commands import gate_answers, listings
    from harness.gate import decide, policy_file
    from harness.machine.clock import utc_now
    from harness.machine.signals import Stop, stoppable
    from harness.session.ab import arms, compare, prepare

    gate_answers.check(_places(arguments))
    plan = compare.plan(arguments.pairs, arguments.budget, arguments.seed)
    specs = [arms.parse(text) for text in (arguments.a, arguments.b)]
    policy = policy_file.read_gate_policy(arguments.policy)
    compare.check(arguments.passed_on)
    stop = Stop()
    try:
        with stoppable() as stop:
            a, b = (prepare.make(spec, say=_say) for spec in specs)
            outcome = compare.compare(
                (a, b),
                arguments.passed_on,
                plan,
                results_dir=arguments.results_dir,
                gate=lambda baseline, candidate, looks: decide.gate(
                    baseline, candidate, policy, today=utc_now(), looks=looks
                ),
                say=_say,
            )
    except KeyboardInterrupt:
        sys.stderr.write("tunebench: interrupted\n")
        return stop.exit_code
    if outcome.result is None:
        sys.stderr.write("tunebench: interrupted before a pair was measured; nothing is stored\n")
        return stop.exit_code
    stored = listings.comparison(outcome.directories, outcome.pairs, outcome.ended)
    code = _answer(_found(outcome.result, outcome.directories, (None, None)), arguments, stored)
    return stop.exit_code if outcome.interrupted else code


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def export(arguments: Arguments) -> int:
    """Write a run as one file."""
    from harness.report.export import export as exporting
    from harness.results import atomic_write, locate, store

    bundle = store.read_run(locate.locate(arguments.run, arguments.results_dir))
    data = exporting.export(bundle, arguments.format, better=arguments.better)
    if arguments.output is None:
        sys.stdout.buffer.write(data)
    else:
        atomic_write.write_bytes(arguments.output, data)
    return 0


def models(arguments: Arguments) -> int:
    """List the registry, or show or fetch one of its models."""
    from harness.commands import listings
    from harness.inputs import config_files
    from harness.session import worker_requests

    if arguments.action == "fetch":
        return _fetch(arguments)
    adapter = config_files.read_adapter(arguments.lora) if arguments.lora else None
    if arguments.action is None:
        models = [config_files.read_model(name) for name in config_files.known("models")]
        sys.stdout.write(listings.models(models, worker_requests.count(models, adapter)))
        return 0
    model = config_files.read_model(arguments.name)
    counted = worker_requests.count([model], adapter)[model.name]
    if "problem" in counted:
        raise HarnessError(counted["problem"])
    sys.stdout.write(listings.model(model, counted))
    return 0


def _fetch(arguments: Arguments) -> int:
    from harness.commands import listings
    from harness.inputs import config_files
    from harness.session import settings, worker_requests

    model = config_files.read_model(arguments.name)
    settings.check_source(arguments.weights)
    quantization = settings.quantization(arguments.quantize)
    sys.stdout.write(listings.ready(worker_requests.fetch(model, arguments.weights, quantization=quantization)))
    return 0
