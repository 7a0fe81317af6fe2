import gc
import json
import shutil
from pathlib import Path

import mlx.core as mx

from harness.worker import mlxlm


def test_half_precision_is_in_memory_as_the_device_wants_it_when_loading_returns(nano, tmp_path):
    directory = shutil.copytree(nano("tinyllama").directory, tmp_path / "half")
    weights = directory / "model.safetensors"
    halves = {name: array.astype(mx.float16) for name, array in mx.load(str(weights)).items()}
    mx.save_safetensors(str(weights), halves, metadata={"format": "mlx"})
    gc.collect()  # nothing of other tests is freed in between
    before = mx.get_active_memory()
    loaded = mlxlm.load(directory, None)
    size, dtype = (4, "float32") if mx.default_device() == mx.cpu else (2, "float16")
    assert loaded.dtype == dtype
    assert mx.get_active_memory() - before >= size * sum(array.size for array in halves.values())
    assert not loaded.model.training


def test_a_tokenizer_without_a_chat_template_gets_the_plain_one_and_others_keep_theirs(nano, tmp_path):
    directory = shutil.copytree(nano("gpt2").directory, tmp_path / "bare")
    config = json.loads((directory / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    question, template = [{"role": "user", "content": "Hi"}], "Q: {{ messages[0].content }}"
    bare, own = mlxlm.load(directory, template).tokenizer, mlxlm.load(Path(nano("gpt2").directory), template).tokenizer
    assert bare.decode(mlxlm.prompt_tokens(bare, question)) == "Q: Hi"
    assert own.decode(mlxlm.prompt_tokens(own, question)) == "User: Hi\nAnswer:"
