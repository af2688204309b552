"""Evaluation: metrics, runs and reports."""
