"""Statistics of plain numbers: estimates, intervals, change points, false discoveries."""
