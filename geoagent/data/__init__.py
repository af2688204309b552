"""Samples to learn from and to be judged on: rendered, real and published."""
