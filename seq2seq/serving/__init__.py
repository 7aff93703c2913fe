"""`seq2seq serve`: translation over HTTP, with LibreTranslate's API, and a page to try it on.

The way of a request: `server` receives it, `middleware` guards it, `app` routes it, `schema` reads
and checks it, `service` answers it. On the way `documents` (with `html_tokens`) divides it into
texts and puts the translations in their place, and `batching` joins the texts of several requests.
`telemetry` counts.
"""
