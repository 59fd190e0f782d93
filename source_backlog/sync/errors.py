"""What ends a sync, as a sentence and an exit status."""

FAILED = 1
USAGE = 2


class SyncError(Exception):
    """A sync that cannot go on. The text is for the user; `status` is the exit status of the command.

    `status` is `USAGE` when the user can mend it (options, config, credentials), else `FAILED`.
    """

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status
