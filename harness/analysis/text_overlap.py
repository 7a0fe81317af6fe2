"""How much of a text stands in another: copies, shared runs of words, near duplicates. Pure, of strings.

Texts are compared as words in small letters, without marks and spaces. A word is a run of letters and digits, so
that scripts that put no space between words count a sentence as one: of those only whole copies are seen.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

RUN_WORDS = 8  # long enough that two authors seldom write it alike
SHINGLE_WORDS = 5
NEAR = 0.8  # Jaccard of shingles, from which on two texts are near duplicates

# Source of shingles: Broder (1997), On the resemblance and containment of documents.


def normalised(text: str) -> str:
    """The words of a text, compatibility forms made plain, in small letters, one space between them."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def copied_shares(texts: Iterable[str], training: Iterable[str]) -> list[float | None]:
    """The share of each text's words within runs of 8 or more that stand in a training text; None of fewer than 8."""
    known = {run for other in training for run in _runs(normalised(other).split(), RUN_WORDS)}
    return [_share(normalised(text).split(), known) for text in texts]


def _share(words: Sequence[str], known: set[tuple[str, ...]]) -> float | None:
    if len(words) < RUN_WORDS:
        return None
    copied = {
        at + offset for at, run in enumerate(_runs(words, RUN_WORDS)) if run in known for offset in range(RUN_WORDS)
    }
    return len(copied) / len(words)


def near_duplicates(texts: Sequence[str], training: Sequence[str]) -> tuple[int, ...]:
    """Which of *texts*, by number, copy a training text or share 80 % of all runs of 5 words with one (Jaccard)."""
    copies = set(map(normalised, training)) - {""}
    owners: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sizes = []
    for number, other in enumerate(training):
        shingles = set(_runs(normalised(other).split(), SHINGLE_WORDS))
        sizes.append(len(shingles))
        for shingle in shingles:
            owners[shingle].append(number)
    found = []
    for number, text in enumerate(texts):
        words = normalised(text)
        shingles = set(_runs(words.split(), SHINGLE_WORDS))
        shared = Counter(owner for shingle in shingles for owner in owners.get(shingle, ()))
        likeness = (count / (len(shingles) + sizes[owner] - count) for owner, count in shared.items())
        if words in copies or any(jaccard >= NEAR for jaccard in likeness):
            found.append(number)
    return tuple(found)


def _runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]
