"""An archive to look at: the tables of `backlog-sync`, and the files beside them, as a folder of plain pages.

It opens in a browser without a server. Nothing here sends a request. It needs the extra `archive`.
"""

from source_backlog.archive.folder import ArchiveError, Written
from source_backlog.archive.whole import write

__all__ = ["ArchiveError", "Written", "write"]
