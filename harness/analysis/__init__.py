"""What stored numbers say of themselves: spikes, phases, trends, clocks. Pure functions of plain values."""
