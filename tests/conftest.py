"""Fixtures that several test files use: a separate cache, stand-in models, a tiny GGUF file, a stored run.

No test needs the network. None compiles: `mx.compile` calls a C++ compiler on the CPU, for seconds a
step. All matrices are small, so one thread is enough, and several get in each other's way.
"""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.worker.blas_shim import Blas, load_fast_blas

os.environ |= {"MLX_DISABLE_COMPILE": "1", "OPENBLAS_NUM_THREADS": "1"}  # the workers inherit them
# A job in the background of a script ignores them, and so would every program that a test starts and interrupts.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
_BLAS = load_fast_blas()  # before anything below imports MLX

import mlx.core as mx  # noqa: E402

from harness.inputs.config_files import read_model  # noqa: E402
from harness.inputs.plans import Chat, InferencePlan, Profile, ReadyModel, TrainingPlan  # noqa: E402
from harness.inputs.prompts import read_chat_template  # noqa: E402
from harness.machine.clock import Stopwatch  # noqa: E402
from harness.worker import mlxlm, weights  # noqa: E402
from tests.support.samples import small_run, stored  # noqa: E402


@pytest.fixture(scope="session")
def blas() -> Blas:
    """Return the fast BLAS that this process loaded."""
    return _BLAS


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the tests and their workers a cache that starts empty."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBENCH_CACHE", str(directory))
        yield directory


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give one test a cache of its own."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("TUNEBENCH_CACHE", str(directory))
    return directory


@pytest.fixture(scope="session")
def nano(session_cache: Path) -> Callable[[str], ReadyModel]:
    """Return a function that builds the stand-in of a registry model on first use."""

    def prepare(name: str) -> ReadyModel:
        return weights.prepare(replace(read_model(name), pypi=None), "embedded")

    return prepare


@pytest.fixture(scope="session")
def load_nano(nano: Callable[[str], ReadyModel]) -> Callable[[str], mlxlm.Loaded]:
    """Return a function that loads a stand-in anew, so that a test may change it."""
    return lambda name: mlxlm.load(Path(nano(name).directory), read_chat_template("plain"))


@pytest.fixture(scope="session")
def tiny_profile() -> Profile:
    """Return a profile that takes a second: 4 steps of 2 rows, 4 tokens per answer.

    The rate is so high that the fourth step undoes what the first three have learned.
    """
    return Profile(
        name="tiny",
        repeats=1,
        timeout_s=60.0,
        cooldown_s=0.0,
        training=TrainingPlan(
            dataset="aphorisms",
            iters=4,
            batch_size=2,
            learning_rate=3e-3,
            max_seq_length=512,
            val_every=3,
            warmup_iters=1,
            grad_accumulation_steps=1,
            seed=1,
        ),
        max_answer_tokens=4,
        inference=InferencePlan(
            prompts_per_scenario=1,
            warmup_prompts=1,
            output_tokens=4,
            stability_repeats=2,
            context_depths=(0, 8),
            context_tokens=4,
            batch_sizes=(1, 2),
        ),
    )


@dataclass(frozen=True)
class TinyGguf:
    """A GGUF file in llama.cpp's layout, with the published weights that it holds."""

    path: Path
    chat: Chat
    published: dict[str, np.ndarray]
    tokens: list[str]


HIDDEN, HEADS, KV_HEADS, HEAD_SIZE, WIDE = 16, 4, 2, 4, 24
METADATA_NUMBERS = {
    "embedding_length": HIDDEN,
    "block_count": 2,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "rope.dimension_count": HEAD_SIZE,
    "feed_forward_length": WIDE,
    "context_length": 128,
}


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> TinyGguf:
    """Write a GGUF file: two blocks, grouped queries, single-byte tokens, three merges, three control tokens."""
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    tokens = ["<|im_start|>", "<|im_end|>", "<|note|>", *letters, "Ġ", "Ċ", "he", "ll", "hell"]
    merges = ["h e", "l l", "he ll"]
    generator = np.random.default_rng(7)

    def random(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, dtype=np.float32)

    published = {"model.embed_tokens.weight": random(len(tokens), HIDDEN), "model.norm.weight": random(HIDDEN)}
    stored = {
        "token_embd.weight": published["model.embed_tokens.weight"],
        "output_norm.weight": published["model.norm.weight"],
    }
    shapes = {
        ("attn_norm", "input_layernorm"): (HIDDEN,),
        ("attn_q", "self_attn.q_proj"): (HEADS * HEAD_SIZE, HIDDEN),
        ("attn_k", "self_attn.k_proj"): (KV_HEADS * HEAD_SIZE, HIDDEN),
        ("attn_v", "self_attn.v_proj"): (KV_HEADS * HEAD_SIZE, HIDDEN),
        ("attn_output", "self_attn.o_proj"): (HIDDEN, HEADS * HEAD_SIZE),
        ("ffn_norm", "post_attention_layernorm"): (HIDDEN,),
        ("ffn_gate", "mlp.gate_proj"): (WIDE, HIDDEN),
        ("ffn_up", "mlp.up_proj"): (WIDE, HIDDEN),
        ("ffn_down", "mlp.down_proj"): (HIDDEN, WIDE),
    }
    for block in range(2):
        for (short, long), shape in shapes.items():
            values = random(*shape)
            published[f"model.layers.{block}.{long}.weight"] = values
            if short in {"attn_q", "attn_k"}:
                values = values[_interleaved(len(values) // HEAD_SIZE)]
            stored[f"blk.{block}.{short}.weight"] = values
    metadata = {
        "general.architecture": "llama",
        **{f"llama.{name}": mx.array(number, dtype=mx.uint32) for name, number in METADATA_NUMBERS.items()},
        "llama.vocab_size": mx.array(len(tokens), dtype=mx.uint32),
        "llama.attention.layer_norm_rms_epsilon": mx.array(1e-5, dtype=mx.float32),
        "llama.rope.freq_base": mx.array(100000.0, dtype=mx.float32),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.token_type": mx.array([3, 3, 3] + [1] * (len(tokens) - 3), dtype=mx.int32),
        "tokenizer.ggml.bos_token_id": mx.array(0, dtype=mx.uint32),
        "tokenizer.ggml.eos_token_id": mx.array(1, dtype=mx.uint32),
        "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}",
    }
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    mx.save_gguf(str(path), {name: mx.array(values) for name, values in stored.items()}, metadata)
    chat = Chat(family="smollm2", bos="<|im_start|>", eos="<|im_end|>", pad="<|im_end|>")
    return TinyGguf(path=path, chat=chat, published=published, tokens=tokens)


def _interleaved(heads: int) -> list[int]:
    """Return the published row at each of llama.cpp's positions: it interleaves the halves of a head, 0 2 1 3."""
    return [head * HEAD_SIZE + row for head in range(heads) for row in (0, 2, 1, 3)]


class SteppingClock:
    """A clock that is read in whole seconds: 0 the first time, then 1, 2, ..."""

    def __init__(self) -> None:
        self.reading_s = -1

    def __call__(self) -> int:
        self.reading_s += 1
        return self.reading_s * 10**9


@pytest.fixture
def stepping_stopwatch() -> Stopwatch:
    """Return a stopwatch whose clock advances one second per reading."""
    return Stopwatch(now_ns=SteppingClock(), wait=lambda: None)


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a working directory with one run under results/."""
    stored(tmp_path / "results", small_run())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_directory(working_directory: Path) -> Path:
    """Return the directory of the only run in the working directory."""
    return working_directory / "results" / "20260102-030405-abcd"
