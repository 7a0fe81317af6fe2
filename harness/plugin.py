"""pytest hooks and fixtures: they translate between pytest and a session, and decide nothing."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.gate.policy_file import DEFAULT, read_gate_policy
from harness.gate.verdicts import EXIT_CANNOT_JUDGE, GateResult
from harness.inputs import cases
from harness.inputs.plans import Case
from harness.inputs.protocol import Failure
from harness.results import locate, store
from harness.results.records import Sample, Status
from harness.session import settings
from harness.session.ab import turnstile
from harness.session.ab.remote_turns import RemoteTurns
from harness.session.ab.turnstile import PreparationStep, TurnstileConnection
from harness.session.gate_after_run import GateAfterRun
from harness.session.session import CaseFailed, Session
from harness.terminal import Terminal

SESSION = pytest.StashKey[Session]()
GATE_AFTER_RUN = pytest.StashKey[GateAfterRun]()
GATED = pytest.StashKey[GateResult | None]()
TERMINAL = pytest.StashKey[Terminal]()
LINE = pytest.StashKey[TurnstileConnection]()
FAILURE = pytest.StashKey[Failure]()
_BENCHMARK_FLAG = "--benchmark"
_HYPOTHESIS = "hypothesispytest"
_CASE = "tunebench_case"  # name of the test report's property that holds the case id


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tunebench", "benchmarks of language models and their adapters")
    group.addoption(
        "--models",
        metavar="A,B",
        help="registry names (`tunebench models` lists them), hf:ORG/REPO[@REV] or path:DIR "
        f"[{settings.DEFAULT_MODELS}]",
    )
    group.addoption(
        "--lora",
        metavar="A,B",
        help=f"adapter configs under fixtures/lora/, or paths to such .toml files [{settings.DEFAULT_ADAPTERS}]",
    )
    group.addoption(
        "--profile",
        metavar="P",
        help="amount of work: smoke (minutes), standard (what a verdict needs), reference "
        f"[{settings.DEFAULT_PROFILE}]",
    )
    group.addoption(
        "--weights",
        metavar="SOURCE",
        help="auto, hub (strict), embedded (package index or stand-in, no hub) or random (full size) "
        f"[{settings.DEFAULT_SOURCE}]",
    )
    group.addoption("--quantize", metavar="BITS", help="quantise the base model before measuring: none, 8 or 4 [none]")
    group.addoption(
        "--dataset",
        metavar="D",
        help="train and evaluate on this, over profile and configs: a folder under fixtures/data/, "
        "path:FILE_OR_DIR or hf:ORG/NAME",
    )
    group.addoption("--iters", type=int, metavar="N", help="iterations to train, over profile and configs")
    group.addoption("--repeats", type=int, metavar="N", help="fresh processes a case, over the profile's number")
    group.addoption(
        "--cooldown", type=float, metavar="SECONDS", help="pause before each process, over the profile's number"
    )
    group.addoption(
        "--memory-limit",
        metavar="SIZE",
        help="what one process may use, e.g. 8GiB; above it the case ends as oom [95 percent of the memory]",
    )
    group.addoption(
        "--results-dir", default=settings.DEFAULT_RESULTS_DIR, metavar="DIR", help="where runs are stored [%(default)s]"
    )
    group.addoption("--run-id", metavar="ID", help="name the run [time and four random digits]")
    group.addoption(
        "--resume",
        metavar="RUN",
        help="go on with a run (id, unique prefix, path or latest): what it has measured and still holds is kept; "
        "options that are not given are the run's",
    )
    group.addoption(
        "--gate",
        metavar="BASELINE",
        help="judge the run against this when it has ended (run, bundle or name of a baseline); a suspected regression "
        "is measured once more in fresh processes. Exit code 1: a regression; 3: it cannot be judged",
    )
    group.addoption("--gate-policy", default=DEFAULT, metavar="NAME|FILE", help="what --gate goes by [%(default)s]")
    group.addoption(
        turnstile.OPTION,
        metavar="R,W",
        help="internal to `tunebench ab`: two pipes, over which it gives leave for each process",
    )
    group.addoption("--no-report", action="store_true", help="do not render the report into the run's directory")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    for suite in cases.SUITES:
        config.addinivalue_line("markers", f"{suite}: the {suite} suite")
    option = config.option
    try:
        resume = None if option.resume is None else _run_to_resume(option.resume, Path(option.results_dir))
        options = settings.SessionOptions(
            models=option.models,
            adapters=option.lora,
            profile=option.profile,
            source=option.weights,
            quantize=option.quantize,
            dataset=option.dataset,
            iters=option.iters,
            repeats=option.repeats,
            cooldown_s=option.cooldown,
            memory_limit=option.memory_limit,
            results_dir=option.results_dir,
            run_id=option.run_id,
            resume=resume,
            resumed=None if resume is None else store.read_head(resume).run,
            report=not option.no_report,
        )
        resolved = settings.resolve(options)
        if option.gate is not None:  # first: a run that cannot be judged need not be measured
            config.stash[GATE_AFTER_RUN] = _gate_after_run(option.gate, option.gate_policy, Path(option.results_dir))
        if option.turnstile is not None:
            config.stash[LINE] = turnstile.inherited(option.turnstile)
            config.add_cleanup(config.stash[LINE].close)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    terminal = Terminal(config)
    arguments = [str(argument) for argument in config.invocation_params.args]
    if not any(argument.startswith(_BENCHMARK_FLAG) for argument in arguments):
        option.benchmark_quiet = True  # our own table says more; any flag of pytest-benchmark brings its table back
    config.stash[TERMINAL] = terminal
    session = Session(
        settings=resolved,
        command=["pytest", *arguments],
        on_progress=terminal.progress,
        on_turn=terminal.turn_ended if resolved.repeats > 1 else lambda *_: None,
        interleaved=config.getvalue("maxfail") != 1,  # with -x, the first case that fails must be the last one measured
    )
    config.stash[SESSION] = session
    config.pluginmanager.register(_CaseLines(session, terminal), "tunebench-case-lines")


def _run_to_resume(name: str, results_dir: Path) -> Path:
    """Return the directory of the run to resume.

    Raises:
        HarnessError: if there is none.
    """
    path = locate.locate(name, results_dir)
    if not path.is_dir():
        raise HarnessError(f"--resume: {path} is a bundle; only a run's own directory can be gone on with")
    return path


def _gate_after_run(baseline: str, policy: str, results_dir: Path) -> GateAfterRun:
    """Read the baseline and the policy by which the run will be judged.

    Raises:
        HarnessError: if there is no such baseline or policy, or one of them cannot be read.
    """
    path = locate.locate(baseline, results_dir)
    return GateAfterRun(baseline=store.read_run(path), policy=read_gate_policy(policy), asked=(baseline, path))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    suite = next((mark.name for mark in metafunc.definition.iter_markers() if mark.name in cases.SUITES), None)
    if suite is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} asks for a case; mark it with one of {cases.SUITES}")
    session_settings = metafunc.config.stash[SESSION].settings
    try:
        matrix = cases.matrix(
            suite,
            session_settings.models,
            session_settings.adapters,
            session_settings.profile,
            session_settings.quantization,
        )
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    metafunc.parametrize("case", matrix, ids=[case.test_id for case in matrix])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move training before the cases that use its adapters; other tests keep their place.

    The processes of a case may have run before its test starts, so pytest-benchmark gets the session's clock.
    """
    items.sort(key=lambda item: cases.SUITES.index(case.suite) if (case := _case_of(item)) else -1)
    for item in items:
        if _case_of(item):
            item.add_marker(pytest.mark.benchmark(timer=item.config.stash[SESSION].clock_s))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Unload Hypothesis's plugin if only cases run: its summary imports all of Hypothesis, which takes 0.25 s."""
    plugins = session.config.pluginmanager
    if session.items and all(map(_case_of, session.items)) and plugins.has_plugin(_HYPOTHESIS):
        plugins.unregister(name=_HYPOTHESIS)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    selected = [case for item in session.items if (case := _case_of(item))]
    if not selected or session.config.option.collectonly or session.testsfailed:
        return
    if hasattr(session.config, "workerinput"):
        raise pytest.UsageError("cases measured side by side would disturb each other; run the suites without -n")
    bench_session, terminal = session.config.stash[SESSION], session.config.stash[TERMINAL]
    line = session.config.stash.get(LINE, None)
    try:
        if line is None:
            missing = bench_session.start(selected, terminal.say)
        else:
            with line.watched():
                missing = bench_session.start(selected, lambda text: line.send(PreparationStep(what=text)))
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    terminal.session_starts(bench_session.run)
    for record in bench_session.records.values():
        terminal.case_kept(record)
    if line is not None:
        _take_turns(bench_session, line)
    kept = [item for item in session.items if (case := _case_of(item)) and case not in missing]
    session.items[:] = [item for item in session.items if item not in kept]


def _take_turns(session: Session, line: TurnstileConnection) -> None:
    """Measure each case when `tunebench ab` permits it, before the tests run; end the session if `ab` has gone."""
    try:
        turnstile.follow(RemoteTurns(session), line)
    except turnstile.PeerGone as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERRUPTED)
    except HarnessError as error:  # the disk is full, or the directory is gone
        raise pytest.UsageError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Bench:
    """Measuring interface of a suite, for one case."""

    session: Session
    case: Case

    @property
    def repeats(self) -> int:
        """Number of fresh processes in which the case is measured."""
        return self.session.repeats(self.case)

    def sample(self) -> Sample:
        """Measure the case once, in a fresh process; a failure ends the test with the reason."""
        return self.session.measure(self.case)

    @property
    def samples(self) -> Sequence[Sample]:
        """Measurements of the case so far, one per process."""
        return self.session.samples(self.case)


@pytest.fixture
def bench(request: pytest.FixtureRequest, case: Case) -> Bench:
    """Return the measuring interface for this test's case."""
    return Bench(request.config.stash[SESSION], case)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """End a test whose case has no result with the reason alone; a traceback through the harness would not help."""
    try:
        return (yield)
    except CaseFailed as error:
        failure = error.failure
    except HarnessError as error:  # the measurement could not be stored
        failure = Failure(status=Status.FAILED, reason=str(error))
    pyfuncitem.stash[FAILURE] = failure
    if failure.status is Status.SKIPPED:
        pytest.skip(failure.reason)
    pytest.fail(f"{failure.status.value}: {failure.reason}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Store the case's record as soon as its test has passed, failed or been skipped."""
    report: pytest.TestReport = yield
    case = _case_of(item)
    session = item.config.stash[SESSION]
    if case is None or not session.started or case.id in session.records or report.when == "teardown":
        return report
    if report.when == "setup" and report.passed:
        return report
    failure = item.stash.get(FAILURE, None)
    if failure is None and not report.passed:
        status = Status.SKIPPED if report.skipped else Status.FAILED
        failure = Failure(status=status, reason=_last_line(call))
    try:
        session.close(case, failure)
    except (
        HarnessError
    ) as error:  # the disk is full, or the directory is gone: later records could not be stored either
        item.session.shouldfail = str(error)
        report.outcome, report.longrepr = "failed", str(error)
    report.user_properties.append((_CASE, case.id))
    return report


class _CaseLines:
    """Plugin that writes a case's line after pytest's own output for the test."""

    def __init__(self, session: Session, terminal: Terminal) -> None:
        self._session, self._terminal = session, terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        case_id = dict(report.user_properties).get(_CASE)
        if case_id in self._session.records and report.when != "teardown":
            self._terminal.case_ended(self._session.records[str(case_id)])


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    bench_session = session.config.stash.get(SESSION, None)
    ended = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    if bench_session is not None and bench_session.started:
        session.config.stash[TERMINAL].attempt(bench_session.finish if ended else bench_session.abandon)
        if ended and GATE_AFTER_RUN in session.config.stash:
            _gate(session, bench_session)


def _gate(session: pytest.Session, bench_session: Session) -> None:
    """Judge the run; the gate's exit code replaces pytest's if pytest has no failure or the gate a regression."""
    gate_after_run, terminal = session.config.stash[GATE_AFTER_RUN], session.config.stash[TERMINAL]
    cases = [case for item in session.items if (case := _case_of(item))]
    result = terminal.attempt(lambda: gate_after_run.judge(bench_session, cases, terminal.tell))
    session.config.stash[GATED] = result
    code = EXIT_CANNOT_JUDGE if result is None else result.exit_code
    if session.exitstatus == pytest.ExitCode.OK or code == 1:
        session.exitstatus = code


def pytest_terminal_summary(config: pytest.Config) -> None:
    session, terminal = config.stash[SESSION], config.stash[TERMINAL]
    if session.started and session.run.finished_at is None:
        terminal.unfinished(session.run)
    if not session.records:
        return
    report = None
    if session.settings.report:
        report = terminal.attempt(lambda: _write_report(session))
    terminal.summary(session, report)
    if (gated := config.stash.get(GATED, None)) is not None:
        terminal.gated(gated)


def _write_report(session: Session) -> str:
    from harness.report import build  # noqa: PLC0415 - neither Jinja nor matplotlib is needed to collect or to measure

    runs = build.read([session.directory])
    report = build.build("comparison", runs, beside=session.directory)
    page, *others = build.write(report, session.directory, ("md", "html"))
    return f"{page} (and {', '.join(path.name for path in others)})"


def _case_of(item: pytest.Item) -> Case | None:
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    return case if isinstance(case, Case) else None


def _last_line(call: pytest.CallInfo[None]) -> str:
    if call.excinfo is None:
        return "no outcome"
    return f"{call.excinfo.typename}: {call.excinfo.value}".splitlines()[0]


def pytest_report_teststatus(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    """Suppress pytest's dot for a measured case, which has a line of its own."""
    is_case = isinstance(report, pytest.TestReport) and _CASE in dict(report.user_properties)
    if is_case and report.when == "call" and not report.skipped and config.stash[TERMINAL].one_line_a_case:
        return report.outcome, "", report.outcome.upper()
    return None
