"""Byte-level BPE tokenizers: rebuilt from a stored vocabulary, or learned from texts.

The only module that imports `tokenizers`. Source of the method: Sennrich et al. (2016), arXiv:1508.07909,
on bytes as in GPT-2.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from harness.inputs.model_dir import write_json
from harness.inputs.plans import Chat


def rebuild(vocabulary: Sequence[str], merges: Sequence[str], special: Iterable[str]) -> Tokenizer:
    """Build a tokenizer from a stored vocabulary; digits are split one by one, as in SmolLM2."""
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, pairs))
    digits = pre_tokenizers.Digits(individual_digits=True)
    return _byte_level(tokenizer, special, pre_steps=[digits])


def learn(texts: Iterable[str], size: int, special: Sequence[str], bos: str | None) -> Tokenizer:
    """Learn *size* tokens from *texts*, special tokens first. If given, *bos* opens every text."""
    tokenizer = _byte_level(Tokenizer(models.BPE()), special)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return tokenizer


def save(tokenizer: Tokenizer, chat: Chat, template: str, max_tokens: int, directory: Path) -> None:
    """Write the tokenizer files that transformers and mlx-lm read."""
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_tokens,
        "eos_token": chat.eos,
        "pad_token": chat.pad,
        "chat_template": template,
    }
    config |= {"bos_token": chat.bos} if chat.bos else {}
    config |= {"unk_token": chat.unk} if chat.unk else {}
    write_json(directory / "tokenizer_config.json", config)


def _byte_level(
    tokenizer: Tokenizer, special: Iterable[str], pre_steps: Sequence[pre_tokenizers.PreTokenizer] = ()
) -> Tokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*pre_steps, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer
