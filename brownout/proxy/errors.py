"""Refusals of the control plane, in the shape that Toxiproxy gives them."""

from http import HTTPStatus


class ApiError(Exception):
    """A request that is refused.

    Sent as `{"error": message, "status": status}`; messages and statuses are those of Toxiproxy 2.12 (`api.go`)
    wherever it has one for the case.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad_request(detail: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, f"bad request body: {detail}")


def missing_field(field: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, f"missing required field: {field}")


def not_found(what: str) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, f"{what} not found")


def already_exists(what: str) -> ApiError:
    return ApiError(HTTPStatus.CONFLICT, f"{what} already exists")
