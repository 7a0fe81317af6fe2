"""Every metric there is: name, unit, direction, kind, definition and source.

Worker, records, reports and the docs page read it here, so a name means one thing. The units of a
record are the units of this table.
"""

from dataclasses import dataclass

from harness.errors import UnknownName
from harness.records import Better, Kind, Metric

_MLX = "MLX allocator counters: https://ml-explore.github.io/mlx/build/html/python/memory_management.html"
_PEERS = "the common definition of serving benchmarks (vLLM, AIPerf), on evaluated tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """What a metric means. *source* is a citation, or the reason it is defined as it is."""

    name: str
    unit: str
    better: Better
    kind: Kind
    definition: str
    source: str


def _define(name: str, unit: str, better: Better, kind: Kind, definition: str, source: str) -> MetricDefinition:
    return MetricDefinition(name=name, unit=unit, better=better, kind=kind, definition=definition, source=source)


_H, _L, _N = Better.HIGHER, Better.LOWER, Better.NONE
_TIME, _MEM, _EXACT, _LOSS, _QUAL = Kind.TIMING, Kind.MEMORY, Kind.EXACT, Kind.LOSS, Kind.QUALITY
_STEADY = "All steps but the first, whose time holds compilation"

_ALL = (
    _define(
        "train_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Real (unpadded) input tokens over step time, steady state. "
        + _STEADY
        + ". Validation and saving are off the clock.",
        "the data view of throughput; mlx-lm's own figure counts loss targets and one padding target a row",
    ),
    _define(
        "train_loss_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Tokens that bear loss (real targets) over the same steps' time.",
        "the learning view of throughput, as torchtune counts",
    ),
    _define(
        "train_padded_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Input positions, padding included, over the same steps' time.",
        "the compute view of throughput, as Hugging Face's trainer counts",
    ),
    _define(
        "padding_share",
        "share",
        _L,
        _EXACT,
        "1 - real / padded input tokens over the steady steps.",
        "mlx-lm pads to a multiple of 32, and takes batches in file order, not by length",
    ),
    _define(
        "train_steps_per_s",
        "step/s",
        _H,
        _TIME,
        "Steady steps over their time.",
        "actual steps, not the configured window",
    ),
    _define(
        "train_rows_per_s",
        "row/s",
        _H,
        _TIME,
        "Rows of the steady steps over their time.",
        "independent of the tokenizer",
    ),
    _define(
        "train_bytes_per_s",
        "byte/s",
        _H,
        _TIME,
        "UTF-8 bytes of the messages' contents in the steady steps over their time.",
        "independent of the tokenizer",
    ),
    _define(
        "first_step_s",
        "s",
        _L,
        _TIME,
        "Time of the first training step, compilation included.",
        "kept apart: on Linux CPU it holds a C++ compiler run",
    ),
    _define(
        "step_s",
        "s",
        _L,
        _TIME,
        "Time of each steady step, from batch to evaluated update.",
        "the raw readings behind the rates",
    ),
    _define(
        "train_wall_s",
        "s",
        _L,
        _TIME,
        "From the trainer's start to its end: steps, tokenising, validation and saving.",
        "what a user waits for",
    ),
    _define(
        "train_loss_first",
        "nat/token",
        _N,
        _LOSS,
        "Loss of the first step's batch, as mlx-lm's trainer reports it.",
        "mlx-lm default_loss",
    ),
    _define(
        "train_loss_final",
        "nat/token",
        _L,
        _LOSS,
        "Loss of the last step's batch, as mlx-lm's trainer reports it.",
        "mlx-lm default_loss; it counts one padding target a row",
    ),
    _define(
        "val_loss_first",
        "nat/token",
        _N,
        _LOSS,
        "Validation loss before training: token-weighted over all rows once, no padding.",
        "own evaluator",
    ),
    _define(
        "val_loss_best",
        "nat/token",
        _L,
        _LOSS,
        "The lowest validation loss of the run, same evaluator.",
        "own evaluator",
    ),
    _define(
        "val_loss_best_iteration",
        "iteration",
        _N,
        _LOSS,
        "Updates done when the validation loss was lowest (first, on ties).",
        "own evaluator",
    ),
    _define(
        "val_loss_final",
        "nat/token",
        _L,
        _LOSS,
        "Validation loss after the last update, same evaluator.",
        "own evaluator",
    ),
    _define(
        "overfit_gap", "nat/token", _L, _LOSS, "val_loss_final - val_loss_best.", "0 if the last checkpoint is the best"
    ),
    _define(
        "total_parameters",
        "parameter",
        _N,
        _EXACT,
        "Parameters of the base model, tied weights once.",
        "counted in the model as built",
    ),
    _define(
        "trainable_parameters",
        "parameter",
        _N,
        _EXACT,
        "Parameters of the adapter: the sum of r(d_in + d_out).",
        "arXiv:2106.09685, section 4",
    ),
    _define(
        "adapter_bytes", "byte", _L, _EXACT, "Size of the saved adapter file.", "float32, so about 4 bytes a parameter"
    ),
    _define(
        "peak_active_bytes", "byte", _L, _MEM, "High-water mark of live arrays, reset at the start of each phase.", _MLX
    ),
    _define(
        "peak_cache_bytes",
        "byte",
        _L,
        _MEM,
        "Freed memory the allocator holds on to, highest at the end of a phase.",
        _MLX,
    ),
    _define(
        "peak_footprint_bytes",
        "byte",
        _L,
        _MEM,
        "The process's resident high-water mark (VmHWM) in the phase; Linux only so far.",
        "man 5 proc",
    ),
    _define(
        "test_loss",
        "nat/token",
        _L,
        _LOSS,
        "Mean negative log-likelihood of every token of a test row after its first, template included; all rows once.",
        "own evaluator; comparable only with the same tokenizer",
    ),
    _define("test_perplexity", "1", _L, _LOSS, "exp(test_loss).", "Jelinek et al. (1977)"),
    _define(
        "bits_per_byte",
        "bit/byte",
        _L,
        _LOSS,
        "Negative log-likelihood of the answers' tokens in bits over the answers' UTF-8 bytes; markup excluded.",
        "Gao et al. (2020), arXiv:2101.00027, section 3.1; comparable across tokenizers",
    ),
    _define(
        "eos_rate",
        "share",
        _H,
        _QUAL,
        "Answers that ended by themselves before the token limit.",
        "finish_reason of each output",
    ),
    _define("response_words", "word", _N, _QUAL, "Words of each answer.", "separated by white space"),
    _define(
        "load_s",
        "s",
        _L,
        _TIME,
        "From the files to evaluated parameters and a tokenizer. cold: page cache dropped; warm: a second time.",
        "parameters are evaluated, so nothing is left for the first token to load",
    ),
    _define("disk_bytes", "byte", _L, _EXACT, "Size of the weight files.", "the files that are loaded"),
    _define(
        "ttft_s", "s", _L, _TIME, "Time to first token: from the prompt's tokens to the first evaluated token.", _PEERS
    ),
    _define(
        "prefill_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Prompt tokens over ttft_s (sampling of the first token included).",
        _PEERS,
    ),
    _define(
        "decode_tokens_per_s", "token/s", _H, _TIME, "(n - 1) / (t_last - t_first) over n generated tokens.", _PEERS
    ),
    _define(
        "response_s",
        "s",
        _L,
        _TIME,
        "From the prompt's text to the last of a fixed number of tokens, tokenising included.",
        "what a user waits for",
    ),
)
DEFINITIONS = {definition.name: definition for definition in _ALL}


def define(name: str) -> MetricDefinition:
    """Look a metric up.

    Raises:
        UnknownName: if no metric is called so.
    """
    if name not in DEFINITIONS:
        raise UnknownName("metric", name, DEFINITIONS)
    return DEFINITIONS[name]


def metric(
    name: str,
    samples: tuple[tuple[float, ...], ...] | None,
    *,
    labels: tuple[str, ...] | None = None,
    reason: str | None = None,
) -> Metric:
    """Give readings the unit, direction and kind of their definition."""
    definition = define(name)
    return Metric(
        unit=definition.unit,
        better=definition.better,
        kind=definition.kind,
        samples=samples,
        labels=labels,
        reason=reason,
    )
