"""Documents: a format's reader yields text units, and its writer puts their translations in place.

`document` is what all formats share, `tagged_text` takes inline elements through the translator,
and most other modules are one format each.
"""
