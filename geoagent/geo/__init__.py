"""Rasters in, measured vectors out."""
