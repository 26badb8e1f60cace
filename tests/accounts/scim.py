"""A directory that speaks SCIM with us, over HTTP."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from accounts.services.directory import issue_token
from tests.factories import admin

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass
class Directory:
    """Sends what it is told to, with its token."""

    token: str = ""
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes | str) else "" if body is None else json.dumps(body)
        return self.client.generic(
            method,
            f"/scim/v2/{path}",
            data,
            content_type=headers.pop("content_type", "application/scim+json"),
            headers={
                "Authorization": f"Bearer {self.token}",
                **{k.replace("_", "-"): v for k, v in headers.items()},
            },
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def found(self, path: str) -> list[Any]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        return list(answer.json().get("Resources", []))

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> Any:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def person(self, address: str, **more: Any) -> Any:
        answer = self.send("POST", "Users", {"schemas": [USER], "userName": address, **more})
        assert answer.status_code == 201, answer.content
        return answer.json()

    def group(self, name: str, *members: str) -> Any:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members]}
        answer = self.send("POST", "Groups", body)
        assert answer.status_code == 201, answer.content
        return answer.json()


def directory(label: str = "Acme ID") -> Directory:
    return Directory(issue_token(label=label, days=30, actor=admin())[1])


def refused(answer: Any, status: int, keyword: str | None = None) -> str:
    """The error document says so, in the form of RFC 7644 3.12; its words."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert answer["Content-Type"] == "application/scim+json"
    document = answer.json()
    assert document["schemas"] == [ERROR]
    assert (document["status"], document.get("scimType")) == (str(status), keyword), document
    return str(document["detail"])
