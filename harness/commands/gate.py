"""`tunebench gate`: judge a stored run against a baseline."""

from harness.commands import gate_answer
from harness.commands.arguments import RUN_HELP, Arguments, Parser, add_results_dir


def add_options(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("baseline", metavar="BASELINE", help="baseline, run id, unique prefix, path or bundle")
    parser.add_argument("candidate", metavar="CANDIDATE", help=RUN_HELP)
    parser.add_argument(
        "--policy",
        default="default",
        metavar="P",
        help="default, deterministic, timing, or a .toml file of your own [%(default)s]",
    )
    gate_answer.add_options(parser)
    add_results_dir(parser)


def run(arguments: Arguments) -> int:
    """Judge, show the answer, and return the exit code of the verdict."""
    from harness.gate import decide, policy_file
    from harness.machine.clock import utc_now
    from harness.results import locate, store

    gate_answer.check_options(arguments)
    names = (arguments.baseline, arguments.candidate)
    paths = [locate.locate(name, arguments.results_dir) for name in names]
    baseline, candidate = map(store.read_run, paths)
    policy = policy_file.read_gate_policy(arguments.policy)
    result = decide.gate(baseline, candidate, policy, today=utc_now())
    return gate_answer.show(gate_answer.with_provenance(result, paths, names), arguments)
