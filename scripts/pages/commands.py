"""docs/reference/cli.md: every command with its help, from the command line itself."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

import re

from tidegate import cli

_EXAMPLE = re.compile(r"(?<!```console\n)^(?:    )?((?:tidegate|python -m) [^\n]+)$", re.MULTILINE)

HEAD = """# Command line

Exit status: 0 ok, 1 failed, 2 wrong usage or configuration, the latter as `file:line:col: path: message`.
`--json` prints data for programs. `TIDEGATE_URL` names the collector for every command that asks one.
`python -m edge_agent --config FILE` and `python -m collector --config FILE` are what systemd runs.
"""


def page() -> str:
    """Return the page."""
    text = cli.app.generate_docs(heading_level=1)
    _, _, commands = text.partition("\n## tidegate ")
    return HEAD + "\n## tidegate " + _EXAMPLE.sub(r"```sh\n\1\n```", _plain(commands))


def _plain(text: str) -> str:
    """Return the text without what differs between machines or says nothing."""
    text = text.replace(", --no-json`", "`").replace(" *[default: False]*", "")
    text = text.replace(' *[default: ""]*', "").replace(" *[default: []]*", "")
    text = re.sub(r"\n\*\*Table of Contents.*?(?=\n## )", "", text, flags=re.DOTALL)
    text = re.sub(r"(?<!`)``(?!`)", "`", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
