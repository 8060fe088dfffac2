"""The errors Perdure raises. Every one is a `PerdureError`."""


class PerdureError(Exception):
    """Root of all errors raised by Perdure itself."""


class InstanceNotFoundError(PerdureError):
    """No instance with this id exists in the task hub (or it has been purged)."""


class InstanceExistsError(PerdureError):
    """An instance with this id exists and has not ended, so the id can't be started again."""


class InstanceEndedError(PerdureError):
    """The instance has ended: it takes no more events or commands."""


class InstanceNotEndedError(PerdureError):
    """The instance has not ended, and what was asked for can be done to ended ones only."""


class PoisonMessageNotFoundError(PerdureError):
    """No poison message of this id is parked in the task hub (or it has been sent again or discarded)."""


class UnknownFunctionError(PerdureError):
    """No function of this name and kind is registered in the app."""


class VersionMismatchError(PerdureError):
    """This worker must not run an instance of this version."""


class SettingsError(PerdureError):
    """A setting (host.json, local.settings.json, environment) is missing or makes no sense."""


class DataError(PerdureError):
    """A value can't be written as JSON, or stored JSON can't be read back."""


class StoredDataError(DataError):
    """What is stored of an instance can't be read: it is damaged, or a newer version of Perdure has written it."""


class UnknownOperationError(PerdureError):
    """An entity has no operation of this name."""


class LockingRulesViolationError(PerdureError):
    """A critical section was asked for something that could block it for ever, or could not be kept apart from it."""


class NonDeterminismError(PerdureError):
    """Orchestrator code asked for something else than its history records."""

    def __init__(self, message: str, difference: str = "") -> None:
        super().__init__(message)
        self.difference = difference
        """What history records and what the code asks for instead: a part of the message."""
