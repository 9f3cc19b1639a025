"""What a run must not take away from itself: the client that it calls with, and the key that signed its token."""

import os

import schemathesis

OPERATOR = os.environ["OPERATOR_CLIENT_ID"]
# The form of a kid, and none that exists.
NO_KEY = "AAAAAAAAAAA"


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    if case.method != "GET" and parameters.get("client_id") == OPERATOR:
        parameters["client_id"] = "somebody-else"
    if "kid" in parameters and len(str(parameters["kid"])) == len(NO_KEY):
        parameters["kid"] = NO_KEY
