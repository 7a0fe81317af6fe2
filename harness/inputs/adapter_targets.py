"""Target modules of an adapter: presets and lists resolved to the matrices of a block, for every architecture.

Names in, names out. A module's name is relative to its block, as mlx-lm wants it: self_attn.q_proj.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

from harness.errors import BadConfig
from harness.inputs.plans import AdapterConfig

# Names that architectures use for the matrices of the presets. The second row: query, key and value in one matrix.
_QUERY_OR_VALUE = {"q_proj", "v_proj", "wq", "wv", "q_lin", "v_lin", "query", "value"}
_QUERY_OR_VALUE |= {"c_attn", "qkv_proj", "Wqkv", "query_key_value", "qkv"}
_ATTENTION = {"self_attn", "attn", "attention", "self_attention", "temporal_block"}
_CLOSE = 0.85  # of 1; chosen: a letter or two of a name
_MLP = {"mlp", "feed_forward", "ffn", "block_sparse_moe", "feedforward"}


def _inside(name: str, parents: set[str]) -> bool:
    return bool(parents.intersection(name.split(".")[:-1]))


PRESETS: Mapping[str, Callable[[str], bool]] = {
    "qv": lambda name: name.rpartition(".")[2] in _QUERY_OR_VALUE and not _inside(name, _MLP),
    "attention": lambda name: _inside(name, _ATTENTION),
    "mlp": lambda name: _inside(name, _MLP),
    "all": bool,
}


def resolve(config: AdapterConfig, model_type: str, matrices: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """Return the names in *matrices* that *config* selects; *matrices* are the adapted blocks', with (rows, columns).

    Raises:
        BadConfig: if a key or a preset matches none of them, or the rank is above a matrix's smaller side.
    """
    assert config.rank is not None, "a full fine-tune has no adapter"
    names: Sequence[str]
    if isinstance(config.keys, str):
        names = tuple(sorted(filter(PRESETS[config.keys], matrices)))
        problems = [] if names else [f"preset {config.keys!r} {_matches_none(model_type, matrices)}"]
    else:
        names = _listed(config, model_type)
        problems = [
            f"key {name!r} {_matches_none(model_type, matrices)}{_guess(name, matrices)}"
            for name in sorted(set(names) - matrices.keys())
        ]
    problems += [
        f"rank {config.rank} is above the smaller side of {name} ({rows} x {columns}); "
        f"give {min(rows, columns)} or less"
        for name, (rows, columns) in sorted(matrices.items())
        if name in names and config.rank > min(rows, columns)
    ]
    if problems:
        raise BadConfig(f"adapter {config.name}", problems)
    return tuple(names)


def _listed(config: AdapterConfig, model_type: str) -> Sequence[str]:
    assert isinstance(config.keys, dict), "a preset has no list"
    names = config.keys.get(model_type) or config.keys.get("default")
    if names is None:
        problem = f"no keys for {model_type!r}; add {model_type!r} or 'default' under [keys], or name a preset"
        raise BadConfig(f"adapter {config.name}", [problem])
    return list(dict.fromkeys(names))


def _matches_none(model_type: str, matrices: Collection[str]) -> str:
    return f"matches no matrix of a {model_type!r} block; known: {', '.join(sorted(matrices))}"


def _guess(name: str, matrices: Collection[str]) -> str:
    """Suggest a name, if one is close. The usual mistake is a full path: names are relative to the block."""
    close = next((known for known in matrices if name.endswith(f".{known}") or known.endswith(f".{name}")), None)
    close = close or next(iter(get_close_matches(name, list(matrices), n=1, cutoff=_CLOSE)), None)
    return f". Did you mean {close!r}?" if close else ""
