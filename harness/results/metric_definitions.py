"""Table of all metrics: one entry per metric, in the order reports list them. `metrics` looks them up by name."""

from dataclasses import dataclass

from harness.results.records import Better, Kind

_MLX = "MLX allocator counters: https://ml-explore.github.io/mlx/build/html/python/memory_management.html"
_PEERS = "the common definition of serving benchmarks (vLLM, AIPerf), on evaluated tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """Meaning of a metric. *source* is a citation, or the reason for this definition."""

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
_STEADY = "Steady: after the warm-up iterations of the profile, the first of which holds compilation"

ALL = (
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
        "Time of the first training step, compilation included. Never part of a rate.",
        "kept apart: on Linux CPU it holds a C++ compiler run",
    ),
    _define(
        "step_s",
        "s",
        _L,
        _TIME,
        "Time of each steady step, from the batch in hand to the evaluated update.",
        "the raw readings behind the rates",
    ),
    _define(
        "train_wall_s",
        "s",
        _L,
        _TIME,
        "From the trainer's start to its end: steps, batches, validation and saving.",
        "what a user waits for",
    ),
    _define(
        "train_loss_first",
        "nat/token",
        _N,
        _LOSS,
        "True loss of the first step's batch: over real targets alone, token-weighted.",
        "the same cross-entropy as the trainer's, without its padding target",
    ),
    _define(
        "train_loss_final",
        "nat/token",
        _L,
        _LOSS,
        "True loss of the last step's batch: over real targets alone, token-weighted.",
        "the same cross-entropy as the trainer's, without its padding target",
    ),
    _define(
        "trainer_loss_first",
        "nat/token",
        _N,
        _LOSS,
        "Loss of the first step's batch, as mlx-lm's trainer prints it.",
        "mlx-lm default_loss; it counts one padding target a row",
    ),
    _define(
        "trainer_loss_final",
        "nat/token",
        _L,
        _LOSS,
        "Loss of the last step's batch, as mlx-lm's trainer prints it.",
        "mlx-lm default_loss; it counts one padding target a row",
    ),
    _define(
        "trainer_val_loss_final",
        "nat/token",
        _L,
        _LOSS,
        "Validation loss after the last update, as mlx-lm's trainer would print it over all whole batches (it takes 25 "
        "of them unless told otherwise), with one padding target a row.",
        "mlx-lm evaluate; not comparable with val_loss_final",
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
        "Iterations done when the validation loss was lowest (first, on ties).",
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
    _define("train_iterations", "iteration", _N, _EXACT, "Batches seen.", "counted as the trainer takes them"),
    _define(
        "train_updates",
        "update",
        _N,
        _EXACT,
        "Updates of the parameters: one every grad_accumulation_steps iterations.",
        "an incomplete last window makes no update (mlx-lm issues 1413, 1544)",
    ),
    _define(
        "wall_part_s",
        "s",
        _L,
        _TIME,
        "What train_wall_s consists of: first step, warm-up steps, steady steps, validation, making batches, "
        "saving, and what none of them accounts for (other).",
        "own stamps; the parts add up to the whole",
    ),
    _define(
        "mfu",
        "share",
        _H,
        _TIME,
        "Model FLOP of the real tokens over steady step time, over the machine's own matrix-product rate. "
        "LoRA-aware: no gradient of frozen weights, no backward pass below the lowest adapter; see docs/roofline.md.",
        "Chowdhery et al. (2022), arXiv:2204.02311, appendix B, with the measured rate in place of a vendor's",
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
        "Parameters that are trained: of LoRA the sum of r(d_in + d_out), of DoRA d_out more for each matrix, of a "
        "full fine-tune all of the blocks it trains.",
        "arXiv:2106.09685, section 4; arXiv:2402.09353, section 4",
    ),
    _define(
        "adapter_bytes", "byte", _L, _EXACT, "Size of the saved adapter file.", "about 4 bytes a parameter in float32"
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
        "The process's high-water mark in the phase: resident set on Linux (VmHWM), phys_footprint on macOS. "
        "process: the highest of its whole life, the probe of the machine included. Not measured on CUDA.",
        "man 5 proc; proc_pid_rusage",
    ),
    _define(
        "memory_growth_bytes_per_step",
        "byte/step",
        _L,
        _MEM,
        "Slope of the memory in use over the steady steps: of live arrays (active), of the process (footprint).",
        "Theil-Sen estimator: Sen (1968), JASA 63, 1379-1389",
    ),
    _define(
        "swap_growth_bytes",
        "byte",
        _L,
        _MEM,
        "What of the process is swapped out at its end, less what was at its start; Linux alone tells.",
        "man 5 proc, VmSwap",
    ),
    _define(
        "estimated_peak_bytes",
        "byte",
        _N,
        _EXACT,
        "Estimated before training: weights, what is trained with its gradient and the optimizer's moments, logits "
        "of the longest batch with their gradient. Activations come on top.",
        "closed form; see docs/roofline.md",
    ),
    _define(
        "probe_gemm_flops_per_s",
        "FLOP/s",
        _H,
        _TIME,
        "Rate of a matrix product in this very process, in the model's compute type.",
        "the roof that mfu is measured against",
    ),
    _define(
        "probe_copy_bytes_per_s",
        "byte/s",
        _H,
        _TIME,
        "Rate of moving memory in this very process: a copy, or a matrix-vector product, whichever is faster.",
        "the roof that mbu is measured against",
    ),
    _define(
        "test_loss",
        "nat/token",
        _L,
        _LOSS,
        "Mean negative log-likelihood of every token of a test row after its first: template included, prompts too "
        "where training masks them; all rows once.",
        "own evaluator; comparable only with the same tokenizer",
    ),
    _define("test_perplexity", "1", _L, _LOSS, "exp(test_loss).", "Jelinek et al. (1977)"),
    _define(
        "bits_per_byte",
        "bit/byte",
        _L,
        _LOSS,
        "Negative log-likelihood of the answers' tokens in bits over the answers' UTF-8 bytes; markup excluded. Of "
        "rows of text: of all that is predicted, so without a first token that stands for text.",
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
    _define(
        "leak_rate",
        "share",
        _L,
        _QUAL,
        "Answers that hold a turn marker of any known family as text: the model writes markup, not an answer.",
        "the markers of the pre-flight, sought in each output",
    ),
    _define(
        "copied_share",
        "share",
        _L,
        _QUAL,
        "Share of an answer's words within runs of eight or more that stand in a training row: learnt by heart. "
        "Of answers of eight words or more.",
        "chosen: eight words in a row are seldom written alike by two authors",
    ),
    _define(
        "adapter_kl_nat_per_token",
        "nat/token",
        _N,
        _QUAL,
        "Kullback-Leibler divergence of the bare base from the model with the adapter, mean over the predicted tokens "
        "of the test rows: what the adapter does.",
        "Kullback and Leibler (1951); the measure of what fusing may lose, see docs/adapters.md",
    ),
    _define(
        "fused_kl_nat_per_token",
        "nat/token",
        _L,
        _QUAL,
        "Divergence of the fused model from the adapter on its base, mean over the same tokens. plain: a float base; "
        "quantised: each matrix quantised again as it was; dequantised: nothing quantised any more.",
        "Kullback and Leibler (1951); 0 where fusing loses nothing, see docs/adapters.md",
    ),
    _define(
        "fused_top1_agreement",
        "share",
        _H,
        _QUAL,
        "Share of the same tokens for which both think the same next token the likeliest, by the same variants.",
        "what greedy decoding sees of the difference",
    ),
    _define("response_words", "word", _N, _QUAL, "Words of each answer.", "separated by white space"),
    _define(
        "rating",
        "point",
        _H,
        _QUAL,
        "Points a person or an author gave, on the scale the note names; printed as published, not measured by this "
        "program.",
        "reports that grade answers by hand: one label an aspect",
    ),
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
        "summary_decode_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "What a report prints of decode_tokens_per_s without its readings: average, peak, sustained; as published, not "
        "measured by this program.",
        "reports that print a summary over scenarios; of readings it is computed",
    ),
    _define(
        "itl_s",
        "s",
        _L,
        _TIME,
        "Inter-token latency: from each evaluated token to the next; n - 1 readings an answer, in order.",
        _PEERS,
    ),
    _define("tpot_s", "s", _L, _TIME, "Time per output token: (t_last - t_first) / (n - 1) of an answer.", _PEERS),
    _define(
        "repeat_decode_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "decode_tokens_per_s of one prompt, answered several times on end: its spread is the machine's.",
        "stability is their coefficient of variation, s / mean with n - 1",
    ),
    _define(
        "context_prefill_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Rate of reading more prompt behind a context of that depth in tokens.",
        "as llama-bench -d",
    ),
    _define(
        "context_decode_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Rate of generating behind a context of that depth in tokens.",
        "as llama-bench -d",
    ),
    _define(
        "batch_decode_tokens_per_s",
        "token/s",
        _H,
        _TIME,
        "Tokens of all answers of a batch after each one's first, over the time from the last first token to the end.",
        "mlx-lm's batched generation, own stamps",
    ),
    _define(
        "cpu_percent",
        "percent",
        _N,
        _TIME,
        "Processor time of the process over wall time while it generates; 100 is one core.",
        "getrusage",
    ),
    _define(
        "mbu",
        "share",
        _H,
        _TIME,
        "Bytes a decoded token has to read (weights and context) over its time, over the machine's own copy rate.",
        "Databricks (2023), LLM Inference Performance Engineering, with the measured rate in place of a vendor's",
    ),
    _define(
        "energy_j_per_token",
        "J/token",
        _L,
        _TIME,
        "Energy of the metered parts (label) over the tokens generated while it was metered.",
        "RAPL, NVML or IOReport, where they can be read without root",
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
