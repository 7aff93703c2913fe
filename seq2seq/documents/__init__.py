"""Documents: a format's reader gives text units, its writer puts their translations in place.

`document` says what all formats have in common, `tagged_text` how inline elements go through the
translator; each other module is one format.
"""
