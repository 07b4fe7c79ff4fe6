"""Reads an account by the client that OneLogin publishes, and tells as JSON what it saw.

    python3 read.py URL CLIENT_ID CLIENT_SECRET [ATTRIBUTE=VALUE]

The client knows no loop over pages: whoever uses it follows the cursor in the answers' headers.
"""

import json
import sys

import onelogin
from onelogin.models.generate_token_request import GenerateTokenRequest

PAGE = 100


def pages(call, **query):
    """Every entry of a list of version 2."""
    cursor = None
    while True:
        answer = call(limit=PAGE, cursor=cursor, **query)
        yield from answer.data
        cursor = answer.headers.get("after-cursor")
        if not cursor:
            return


def main(url, client_id, client_secret, *attributes):
    configuration = onelogin.Configuration(
        host=url, username=client_id, password=client_secret
    )
    with onelogin.ApiClient(configuration) as client:
        grant = GenerateTokenRequest(grant_type="client_credentials")
        token = onelogin.OAuth2Api(client).generate_token(grant)
        configuration.access_token = token.access_token

        users = onelogin.UsersV2Api(client)
        query = dict(attribute.split("=", 1) for attribute in attributes)
        if "directory_id" in query:
            query["directory_id"] = int(query["directory_id"])
        fields = "id,email,username,status,state,group_id"
        people = [
            {
                "id": user.id,
                "email": user.email,
                "username": user.username,
                "status": user.status,
                "state": user.state,
                "group_id": user.group_id,
                # Wasn't asked for.
                "firstname": user.firstname,
            }
            for user in pages(users.list_users2_with_http_info, fields=fields, **query)
        ]

        roles = onelogin.RolesApi(client)
        members = {
            role.name: [
                user.id
                for user in pages(
                    roles.get_role_users_with_http_info, role_id=str(role.id)
                )
            ]
            for role in pages(roles.list_roles_with_http_info)
        }

        groups = onelogin.GroupsApi(client).get_groups().data
        limit = onelogin.OAuth2Api(client).get_rate_limit().data
        try:
            roles.get_role_users(role_id="999999")
            refused = None
        except onelogin.ApiException as error:
            refused = error.status
        seen = {
            "users": people,
            "roles": members,
            "groups": {group.id: group.name for group in groups},
            "limit": limit.x_rate_limit_limit,
            "refused": refused,
        }
        json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
