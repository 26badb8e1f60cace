"""A reviewer in a browser, without a browser: session cookie, CSRF token, the forms of the pages as they are."""

import httpx

from config.replay import pages
from config.replay.client import GaveUp, Line
from config.replay.pages import Form

SIGN_IN = "/account/login/"
_HOME = "/queues/"


class Browser:
    """One person's session. Signs in when it is asked to, also in the middle, after the session was lost.

    Every request may be sent twice: the server answers a repeated claim or vote as the first time."""

    def __init__(self, url: str, line: Line, email: str, password: str) -> None:
        self.email, self.line, self._password = email, line, password
        self._http = httpx.AsyncClient(
            base_url=url, timeout=60, headers={"Accept": "text/html", "Referer": url + "/"}
        )

    async def open(self) -> None:
        """Sign in, so that the cookies are there."""
        await self.get(_HOME)

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> httpx.Response:
        """The page; signs in on the way where needed."""
        response = await self._follow(await self.line.send(self._http, "GET", path))
        if response.url.path == SIGN_IN:
            await self._sign_in(response)
            response = await self._follow(await self.line.send(self._http, "GET", path))
        return response

    async def press(self, path: str) -> httpx.Response:
        """A button that needs nothing but the session, such as Claim in a list; the page that answers."""
        if "csrftoken" not in self._http.cookies:
            await self.open()
        for _ in range(2):
            token = self._http.cookies.get("csrftoken", "")
            data = {"csrfmiddlewaretoken": token}
            response = await self._follow(await self.line.send(self._http, "POST", path, data=data))
            if response.url.path != SIGN_IN and response.status_code != 403:
                break
            await self.open()
        return response

    async def submit(self, form: Form, page: httpx.Response, **values: str) -> httpx.Response:
        """Send a form of a page with some fields filled in otherwise; the answer itself, not where it redirects to."""
        fields = {**form.values, **values}
        target = str(page.url.join(form.action or str(page.url)))
        return await self.line.send(self._http, "POST", target, data=fields)

    async def _follow(self, response: httpx.Response) -> httpx.Response:
        for _ in range(5):
            if response.next_request is None:
                return response
            response = await self.line.send(self._http, "GET", str(response.next_request.url))
        raise GaveUp(f"{response.url.path}: redirected in circles")

    async def _sign_in(self, page: httpx.Response) -> None:
        form = next((each for each in pages.forms(page.text) if "password" in each.values), None)
        if form is None:
            raise GaveUp(f"{SIGN_IN}: no sign-in form")
        answer = await self.submit(form, page, login=self.email, password=self._password)
        if answer.next_request is None:
            raise GaveUp(f"{self.email} could not sign in ({answer.status_code})")


def problem(response: httpx.Response) -> str:
    """Status and what the page says, shortened."""
    words = " ".join(response.text.split())[:300]
    return f"{response.request.method} {response.url.path}: {response.status_code} {words}"
