"""`seq2seq serve`: translation over HTTP, with LibreTranslate's API, and a page to try it on.

`app` answers requests, and `server` runs it. In between: `asking` checks what is asked for,
`documents` and `html` divide it into texts and put their translations in their place, `batching`
joins the texts of several requests, `translating` sees to all of that. `limits`, `access` and
`metrics` keep watch.
"""
