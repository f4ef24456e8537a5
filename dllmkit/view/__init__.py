"""Pictures of a decode: a page for the browser, and figures."""
