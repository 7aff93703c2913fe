"""`seq2seq serve`: translation over HTTP, with LibreTranslate's API, and a page to try it on.

The path of a request: `server` receives it, `middleware` guards it, `app` routes it, `request`
reads and checks it, `service` answers it, `response` makes the JSON. In between, `documents` splits
the request into texts and puts their translations in place, and `batching` joins texts of several
requests. `telemetry` counts.
"""
