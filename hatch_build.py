"""What a package index shows: the README, with links that lead somewhere from there.

Links of the README are relative to the repository. The address of the repository is not part of it:
the release workflow gives it as PROJECT_URL. Links become absolute then; without it, they become
plain text, and pictures are left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)")


class Readme(MetadataHookInterface):
    """Fills in `readme` and `urls` of [project]."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds both to the metadata."""
        project = os.environ.get("PROJECT_URL", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": readme(text, project, metadata["version"]),
        }
        metadata["urls"] = {"Paper": "https://arxiv.org/abs/1909.07378"}
        if project:
            metadata["urls"] |= {
                "Repository": project,
                "Documentation": f"{project}/tree/v{metadata['version']}/docs",
                "Changelog": f"{project}/blob/v{metadata['version']}/CHANGELOG.md",
                "Issues": f"{project}/issues",
            }


def readme(text: str, project: str, version: str) -> str:
    """The README with absolute links, or without links into the repository.

    Args:
        text: Content of README.md.
        project: Address of the repository; empty if it is not known.
        version: Version whose tag the links lead to.
    """

    def absolute(link: re.Match[str]) -> str:
        mark, words, path = link.groups()
        if not project:
            return "" if mark else words
        kind = "raw" if mark else "blob"
        return f"{mark}[{words}]({project}/{kind}/v{version}/{path})"

    return _LINK.sub(absolute, text)
