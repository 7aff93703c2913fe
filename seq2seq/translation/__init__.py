"""Text in, translation out: preprocess, search, postprocess; which model, and in how many steps."""
