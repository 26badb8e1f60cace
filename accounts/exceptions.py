"""Domain errors. Middleware turns them into problem documents, fragments or pages; nothing else catches them."""


class DomainError(Exception):
    """An expected refusal: `code` is stable (RFC 9457 `code` member), `detail` says the remedy, `status` is HTTP.

    `extra` are further members of the problem document, such as `errors` with one entry per field."""

    code = "error"
    status = 400
    title = "The request was refused"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotAllowed(DomainError):
    """The person or agent may not do this."""

    code = "not_allowed"
    status = 403
    title = "Not allowed"


class NotFound(DomainError):
    """It does not exist, or the asker may not know that it does."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(DomainError):
    """The thing has changed since the asker looked."""

    code = "conflict"
    status = 409
    title = "It has changed meanwhile"


class TooManyRequests(DomainError):
    """More often than one party may; `retry_after` says in how many seconds to send the same again."""

    code = "too_many_requests"
    status = 429
    title = "Too many requests"


class Invalid(DomainError):
    """A value is wrong; `errors` is a list of {"field", "message"}."""

    code = "invalid"
    status = 422
    title = "A value is not acceptable"
