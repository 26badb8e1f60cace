"""What browser a User-Agent header names, roughly: enough for a person to know his own machines. Pure."""

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Chromium", "Chromium"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
"""The first part that stands in the header decides: Edge calls itself Chrome, too, and Chrome Safari."""


def browser_name(header: str) -> str:
    """For instance "Firefox on Windows". Of a program that names no browser, the first word of what it says."""
    browser = next((name for part, name in _BROWSERS if part in header), "")
    system = next((name for part, name in _SYSTEMS if part in header), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or header.split("/")[0].split(" ")[0][:40] or "Unknown browser"
