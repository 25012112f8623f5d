"""A small disk in memory, which fills up and can be enlarged; needs the right to mount."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from dipray.errors import FolderError


class FullDisk:
    """A tmpfs at a folder while the context lasts; raises FolderError where one may not mount."""

    def __init__(self, folder: Path, *, kib: int) -> None:
        self.folder = folder
        self.kib = kib

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.kib}k", "tmpfs", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise FolderError(f"{self.folder}: no disk can be mounted ({made.stderr.strip()})")
        return self

    def enlarge(self) -> None:
        """Make room."""
        subprocess.run(
            ["mount", "-o", "remount,size=1g", str(self.folder)], check=True, capture_output=True
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)
