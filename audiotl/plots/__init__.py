"""Figures: what several notebooks share, in one quiet style; scores come as fractions."""
