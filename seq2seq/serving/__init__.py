"""`seq2seq serve`: translation over HTTP, with LibreTranslate's API, and a page to try it on.

The way of a request: `server` receives it, `middleware` guards it, `app` routes it, `request` reads
and checks it, `service` answers it, `response` is its JSON. On the way `documents` divides the
request into texts and puts their translations in place, and `batching` joins the texts of several
requests. `telemetry` counts.
"""
