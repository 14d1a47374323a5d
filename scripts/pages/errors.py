"""docs/reference/errors.md: the error tree, exit statuses, codes of HTTP answers."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

import ast
import inspect
from collections import defaultdict

from gateway_core import errors
from pages.source_calls import calls, name_of
from pages.table import table

HEAD = """# Errors

An error says what the one who meets it does next.

```text
{tree}
```

| exit status | of both programs and of `tidegate` |
|---|---|
| 0 | ok |
| 1 | failed: try again, or read the sentence on standard error |
| 2 | wrong usage, or a file to edit: `file:line:col: path: message`, one line for each mistake |

What a device sent and no profile could read: [rejection codes](rejections.md).

## Problems over HTTP

`application/problem+json`; `type` is `urn:tidegate:problem:CODE` from the intake and `urn:tidegate:CODE` from the API.

"""


def page() -> str:
    """Return the page."""
    tree = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2]
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in calls("collector"):
        match name_of(each.call), each.call.args:
            case ("problem", [ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_]):
                found["API", code].add(str(status))
            case (
                "Problem" | "UploadRefused" | "Refused",
                [ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_],
            ):
                found["intake", code].add(str(status))
    rows = (
        (f"`{code}`", listener, ", ".join(sorted(found[listener, code])))
        for listener, code in sorted(found)
    )
    return HEAD.format(tree=tree) + table(("code", "listener", "status"), rows)
