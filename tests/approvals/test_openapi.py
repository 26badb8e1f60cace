"""The API's document and its page."""

import pytest
from django.test import Client

from approvals.openapi import problem_codes

pytestmark = pytest.mark.django_db


def test_docs_show_every_operation_and_code(client: Client) -> None:
    page = client.get("/api/docs").content.decode()
    document = client.get("/api/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert [path for path in document["paths"] if path not in page] == []
    assert [code for code in problem_codes() if f'id="{code}"' not in page] == []
