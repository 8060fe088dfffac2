"""What goes wrong with durable workflows."""

from __future__ import annotations

from perdure.errors import DataError, PerdureError


class WorkflowRegistrationError(PerdureError):
    """A workflow can't be registered: a name is taken or unusable, or its types can't be told apart."""


class UndeclaredTypeError(DataError):
    """A value is of a type that the workflow does not declare, so that it could not be read back."""

    def __init__(self, type_name: str, where: str = "a value") -> None:
        super().__init__(
            f"{where} is or holds a '{type_name}', a type that the workflow does not declare: name the type in the "
            f"annotations of a handler, or register the workflow with types=[{type_name.rpartition('.')[2]}]"
        )
        self.type_name = type_name

    def at(self, where: str) -> UndeclaredTypeError:
        """Return the same error with the place where it happened."""
        return UndeclaredTypeError(self.type_name, where)


class WorkflowFailedError(PerdureError):
    """A workflow's executor failed. Its attributes say which one, and with what."""

    def __init__(self, workflow: str, executor_id: str, error_type: str, error_message: str) -> None:
        super().__init__(
            f"workflow '{workflow}' failed in executor '{executor_id}': {error_type}: {error_message}"
            if error_message
            else f"workflow '{workflow}' failed in executor '{executor_id}': {error_type}"
        )
        self.workflow = workflow
        self.executor_id = executor_id
        self.error_type = error_type
        """Qualified name of the exception that the executor raised."""
        self.error_message = error_message


class WorkflowInputError(PerdureError):
    """The input of a workflow fits none of the types that its start executor takes."""


class WorkflowResponseError(PerdureError):
    """An answer does not fit the type that the request for it asks for."""
