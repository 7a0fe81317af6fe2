"""Facts about the machine: clock, memory, energy, load, environment, and what `doctor` makes of them."""
