"""Reads a customer by the client that Google publishes, and tells as JSON what it saw.

    python3 read.py URL KEY_FILE ADMIN
"""

import json
import sys

from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

SCOPE = "https://www.googleapis.com/auth/admin.directory."
SCOPES = [SCOPE + "user.readonly", SCOPE + "group.readonly"]


def pages(resource, field, **query):
    """Every entry of a list."""
    request = resource.list(**query)
    while request is not None:
        answer = request.execute()
        yield from answer.get(field, [])
        request = resource.list_next(request, answer)


def main(url, key_file, admin):
    credentials = service_account.Credentials.from_service_account_file(
        key_file, scopes=SCOPES, subject=admin
    )
    service = build(
        "admin",
        "directory_v1",
        credentials=credentials,
        client_options={"api_endpoint": url},
        cache_discovery=False,
    )
    customer = {"customer": "my_customer"}

    def person(user):
        disabled = user.get("suspended", False) or user.get("archived", False)
        return {"id": user["id"], "email": user["primaryEmail"], "disabled": disabled}

    groups = {
        group["name"]: sorted(
            member["email"]
            for member in pages(service.members(), "members", groupKey=group["id"])
            if member["type"] == "USER"
        )
        for group in pages(service.groups(), "groups", **customer)
    }
    try:
        service.groups().get(groupKey="nobody").execute()
        refused = None
    except HttpError as error:
        refused = error.status_code
    seen = {
        "users": [person(user) for user in pages(service.users(), "users", **customer)],
        "deleted": [
            user["id"]
            for user in pages(service.users(), "users", showDeleted="true", **customer)
        ],
        "groups": groups,
        "refused": refused,
    }
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
