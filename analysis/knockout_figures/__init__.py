"""Figures from a knockout cube; opens nothing else."""
