"""Pages on which anybody translates images and explores models: static files; the models run in the browser.

`family` puts a base and its domains' models into a form that a page can mix, and `site` writes the folder of pages and
models. `runtime` fetches onnxruntime-web, which is no part of this package. `static/` has the pages' style and modules,
`templates/` their HTML.
"""
