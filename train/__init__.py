"""Training: recipes, loop and configurations."""
