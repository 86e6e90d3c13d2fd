"""Prompts on frames of the past: their masks there, and objects brought from there to the newest frame."""
