"""The failures that users meet, each with the verdict whether trying again can help. Messages never hold a value."""


class HygieneError(Exception):
    """A failure that is explained by one line; the way out is part of the line."""

    retryable = False


class PermanentError(HygieneError):
    """Trying again changes nothing until a person does something."""


class TransientError(HygieneError):
    """Trying again later may help."""

    retryable = True


class PracticeFileError(PermanentError):
    """The practice file or a policy override is wrong: key, reason and what is allowed are in the message."""


class KeyProblemError(PermanentError):
    """A key is missing, unreadable or not the one the file was encrypted with."""


class WarehouseBusyError(TransientError):
    """Another process held the warehouse for longer than we were willing to wait."""


class NightStoppedError(PermanentError):
    """A check without which the night's results would be wrong has failed."""
