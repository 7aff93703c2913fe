"""Settings, frozen and checked: of models and their search, and of training (the recipe)."""
