"""What every answer says to browsers about itself, whichever door it leaves by.

Pages have a policy of their own (settings.CONTENT_SECURITY_POLICY); whatever says nothing (files, JSON, streams,
errors made by plain ASGI code) gets one under which nothing in it runs, loads or is framed."""

from collections.abc import Iterable

from django.conf import settings

from config.bridge import Message, Send

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)
PERMISSIONS = ", ".join(f"{name}=()" for name in _UNUSED)
"""What no page of ours asks a browser for; passkeys and the clipboard are allowed to a page of one's own anyway."""


def wanted() -> dict[bytes, bytes]:
    """The headers of an answer that has none of them."""
    found = {
        "content-security-policy": NOTHING,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": PERMISSIONS,
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    if settings.IS_HTTPS:
        within = "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
        found["strict-transport-security"] = f"max-age={settings.SECURE_HSTS_SECONDS}{within}"
    return {name.encode(): value.encode() for name, value in found.items()}


def completed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those it lacks. What may be private is kept by no cache unless it says so."""
    present = [(bytes(name), bytes(value)) for name, value in headers]
    names = {name.lower() for name, _ in present}
    missing = wanted() | {b"cache-control": b"no-store"}
    return present + [(name, value) for name, value in missing.items() if name not in names]


def completing(send: Send) -> Send:
    """A `send` that completes the headers on their way out."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": completed(message.get("headers", ()))}
        await send(message)

    return sent
