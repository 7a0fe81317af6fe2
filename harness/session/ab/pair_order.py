"""Order of the two sides within each pair of an interleaved comparison: AB or BA."""

import random


def pair_orders(pairs: int, seed: int, case: str) -> list[str]:
    """Return AB or BA for each pair of *case*: the order in which the two sides are measured.

    Of pairs 1 and 2, 3 and 4, and so on, one is AB and the other BA. Chance decides which of the two comes
    first, so that no rhythm of the machine favors one side.
    """
    generator = random.Random(f"{seed}/{case}")  # noqa: S311 - an order, not a secret
    blocks = [generator.sample(("AB", "BA"), 2) for _ in range((pairs + 1) // 2)]
    return [order for block in blocks for order in block][:pairs]
