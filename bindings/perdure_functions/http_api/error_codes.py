"""Which HTTP status an error is answered with."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.errors import (
    DataError,
    InstanceEndedError,
    InstanceExistsError,
    InstanceNotEndedError,
    InstanceNotFoundError,
    PerdureError,
    PoisonMessageNotFoundError,
    StoredDataError,
    UnknownFunctionError,
)
from perdure.storage.protocol import PayloadMissing, StorageUnavailable
from perdure_functions.http_api.reading import BadRequest, NoSuchOperation

CODES: dict[type[Exception], int] = {
    BadRequest: 400,
    NoSuchOperation: 404,
    InstanceNotFoundError: 404,
    PoisonMessageNotFoundError: 404,
    InstanceEndedError: 410,
    InstanceExistsError: 409,
    InstanceNotEndedError: 409,
    UnknownFunctionError: 400,
    StoredDataError: 500,
    PayloadMissing: 500,
    DataError: 400,
    ValueError: 400,
    StorageUnavailable: 503,
    PerdureError: 500,
}
"""By kind of error; the first that fits counts."""


def code_of(error: Exception, codes: Mapping[type[Exception], int] = CODES) -> int:
    """Return the status for an error of one of these kinds."""
    return next(code for kind, code in codes.items() if isinstance(error, kind))
