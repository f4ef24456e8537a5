"""What mkdocs is told in Python: use KaTeX and mermaid where they are, and show files of the repository as pages."""

from __future__ import annotations

import re
from typing import Any

from pymdownx.superfences import fence_code_format
from vendor import KATEX, MERMAID, VENDOR

ROOT_PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_config(config: Any) -> Any:
    """Load the vendored scripts; a page never asks another server for them."""
    if KATEX.folder.exists():
        dist = f"{_address(KATEX)}/dist/katex.min"
        config.extra_css.insert(0, f"{dist}.css")
        config.extra_javascript += [f"{dist}.js", "assets/math.js"]
    if MERMAID.folder.exists():  # without it Material would load mermaid from a server
        config.extra_javascript.append(f"{_address(MERMAID)}/dist/mermaid.min.js")
        fence = {"name": "mermaid", "class": "mermaid", "format": fence_code_format}
        config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make what is written for the repository right for the site: pipes in tables, and files of the top folder.

    In a code span of a table other renderers want `\\|`, which Python-Markdown would show. Links of a file of the top
    folder hold there; on its page they lead to other pages, or are names.
    """
    if page.file.src_uri not in ROOT_PAGES:
        row = re.compile(r"^\|.*\|$", re.MULTILINE)
        return row.sub(lambda line: re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), line[0]), markdown)
    pages = {name: page for page, name in ROOT_PAGES.items()}
    root = VENDOR.parents[2]
    text = (root / ROOT_PAGES[page.file.src_uri]).read_text(encoding="utf-8")

    def on_the_site(link: re.Match[str]) -> str:
        words, target = link.groups()
        if "://" in target:
            return link[0]
        if target in pages:
            return f"[{words}]({pages[target]})"
        return f"[{words}]({target.removeprefix('docs/')})" if target.startswith("docs/") else words

    return re.sub(r"\[([^\]]+)\]\(([^)#\s]+)\)", on_the_site, text)


def on_post_page(output: str, **_: Any) -> str:
    """Load mermaid, three megabytes, only where there is a diagram."""
    if 'class="mermaid"' in output:
        return output
    return re.sub(r'<script src="[^"]*/mermaid\.min\.js"></script>\s*', "", output)


def _address(package: Any) -> str:
    return f"assets/vendor/{package.folder.name}"
