"""Place texts in a drawing so that they cover as little as possible. Plain geometry in any unit of length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (points, 2): x and y
_LEVELS = 8  # distances from its point, in lines of text, at which a text is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        """Return True if the two boxes overlap; a shared edge is no overlap."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def within(self, bounds: "Box") -> "Box":
        """Move the box into *bounds*; a box that is too large keeps its lower left corner inside."""
        left = max(bounds.left, min(self.left, bounds.right - (self.right - self.left)))
        bottom = max(bounds.bottom, min(self.bottom, bounds.top - (self.top - self.bottom)))
        return Box(left=left, bottom=bottom, right=left + self.right - self.left, top=bottom + self.top - self.bottom)


def best(candidates: Iterable[Box], taken: Sequence[Box], points: Points) -> Box:
    """Return the first candidate that covers least; one covered text counts more than any number of points."""
    x, y = points[:, 0], points[:, 1]

    def cost(box: Box) -> tuple[int, int]:
        covered = (box.left <= x) & (x <= box.right) & (box.bottom <= y) & (y <= box.top)
        return sum(map(box.meets, taken)), int(covered.sum())

    return min(candidates, key=cost)


def around(x: float, y: float, width: float, height: float, gap: float) -> list[Box]:
    """List boxes of this size around a point, nearest first: right and left of the point, above and below it."""
    return [
        Box(left=left, bottom=bottom, right=left + width, top=bottom + height)
        for level in range(_LEVELS)
        for bottom in (y + gap + level * height, y - gap - (level + 1) * height)
        for left in (x + gap, x - gap - width)
    ]


def stagger(starts: Sequence[float], widths: Sequence[float], room: float) -> list[tuple[float, int]]:
    """Arrange texts in rows of length *room* without overlap; return the left edge and the row (from 0) of each.

    A text begins at its start, or further left if it would reach beyond the end. *starts* must be in ascending order.
    """
    ends: list[float] = []  # right edge of the last text in each row
    placed = []
    for start, width in zip(starts, widths, strict=True):
        left = max(0.0, min(start, room - width))
        row = next((row for row, end in enumerate(ends) if end <= left), len(ends))
        ends[row : row + 1] = [left + width]
        placed.append((left, row))
    return placed
