"""Overlap of texts: copies, shared runs of words, and near duplicates.

Texts are compared as lower-case words, without punctuation. A word is a run of letters and digits. In scripts without
spaces between words a whole sentence is therefore one word, and only whole copies are detected.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

RUN_WORDS = 8  # long enough that two authors seldom write the same run
SHINGLE_WORDS = 5
NEAR = 0.8  # least Jaccard similarity of the shingles of near duplicates

# Source of shingles: Broder (1997), On the resemblance and containment of documents.


def normalized(text: str) -> str:
    """Return the words of a text in lower case and Unicode form NFKC, joined by single spaces."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def copied_shares(texts: Iterable[str], training: Iterable[str]) -> list[float | None]:
    """Return each text's share of words in runs of 8 or more that a training text has; None for fewer than 8 words."""
    known = {run for other in training for run in _runs(normalized(other).split(), RUN_WORDS)}
    return [_share(normalized(text).split(), known) for text in texts]


def _share(words: Sequence[str], known: set[tuple[str, ...]]) -> float | None:
    if len(words) < RUN_WORDS:
        return None
    copied = {
        at + offset for at, run in enumerate(_runs(words, RUN_WORDS)) if run in known for offset in range(RUN_WORDS)
    }
    return len(copied) / len(words)


def near_duplicates(texts: Sequence[str], training: Sequence[str]) -> tuple[int, ...]:
    """Return indices of *texts* that copy a training text, or share 5-word runs with one at 80 % or more (Jaccard)."""
    copies = set(map(normalized, training)) - {""}
    owners: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sizes = []
    for number, other in enumerate(training):
        shingles = set(_runs(normalized(other).split(), SHINGLE_WORDS))
        sizes.append(len(shingles))
        for shingle in shingles:
            owners[shingle].append(number)
    duplicates = []
    for number, text in enumerate(texts):
        words = normalized(text)
        shingles = set(_runs(words.split(), SHINGLE_WORDS))
        shared = Counter(owner for shingle in shingles for owner in owners.get(shingle, ()))
        similarities = (count / (len(shingles) + sizes[owner] - count) for owner, count in shared.items())
        if words in copies or any(jaccard >= NEAR for jaccard in similarities):
            duplicates.append(number)
    return tuple(duplicates)


def _runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]
