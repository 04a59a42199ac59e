"""A hook of mkdocs: links that lead out of `docs/` go to the repository, so that pages work in both places."""

import posixpath
import re
from typing import Any

REPOSITORY = "https://github.com/salmu-demo/salmu-demo/blob/main/"
_RELATIVE = re.compile(r"\]\((\.\./[^)\s#]+)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page that lead out of the folder of the documentation."""

    def absolute(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), link[1]))
        return link[0] if target.startswith("docs/") else f"]({REPOSITORY}{target}"

    return _RELATIVE.sub(absolute, markdown)
