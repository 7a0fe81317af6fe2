"""Figures: what a chart holds, how it looks, and how it is drawn."""
