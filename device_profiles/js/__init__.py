"""Vendors' JavaScript codecs, unmodified, in a worker process that can be killed.

``compile_js(spec, path, folder)`` gives a decoder. What it may do and what stops it:
docs/explanation/javascript-codecs.md.
"""

from __future__ import annotations
