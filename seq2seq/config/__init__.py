"""Settings, frozen and checked: of a model and its search, and of a training (the recipe)."""
