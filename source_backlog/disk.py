"""What is said of the disk when it has no room, so that nobody looks for the cause in Backlog."""

import errno
import os
import shutil
import tempfile

# Full, over the quota, not to be written, or broken: what only the one who runs the machine can mend.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)

MAKE_ROOM = "Make room there, or name another folder in the environment variable TMPDIR."


def is_of_the_disk(error: BaseException) -> bool:
    """Whether the disk has refused to take something, or there is no folder for temporary files at all."""
    if not isinstance(error, OSError):
        return False
    return error.errno in _OF_THE_DISK or "No usable temporary directory" in str(error)


def of_the_disk_in(text: str) -> str:
    """The reason of the disk in the text of an exception; "" when it is of something else."""
    return next((os.strerror(number) for number in _OF_THE_DISK if text.startswith(f"[Errno {number}]")), "")


def room_in_temporary_folder(error: OSError) -> str:
    """What has happened in the folder for temporary files, and how much room it has."""
    reason = error.strerror or str(error)
    try:
        free = room() // 2**20
        return f"The temporary folder {tempfile.gettempdir()} could not be written to ({reason}; {free} MiB are free)."
    except OSError:
        return f"No temporary folder can be written to ({reason})."


def room() -> int:
    """The bytes that are free in the folder for temporary files; 0 where there is no such folder."""
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return 0
