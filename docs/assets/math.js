// Typeset what pymdownx.arithmatex left on the page: \( ... \) in a span, \[ ... \] in a div.
for (const element of document.querySelectorAll(".arithmatex")) {
  katex.render(element.textContent.trim().slice(2, -2), element, {
    displayMode: element.tagName === "DIV",
    throwOnError: true, // a test looks for errors on the console
  });
}
