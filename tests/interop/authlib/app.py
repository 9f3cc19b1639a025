"""A small site and service built on Authlib, as its users build them. What it needs comes from the environment."""

import os

from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import Flask, request, url_for

ISSUER = os.environ["ISSUER"]
METADATA = f"{ISSUER}/.well-known/openid-configuration"

app = Flask(__name__)
app.secret_key = os.urandom(32)

# The site: everything else is found in the metadata, and the ID token is verified with nonce and signature.
oauth = OAuth(app)
oauth.register(
    name="keystead",
    client_id=os.environ["WEB_ID"],
    client_secret=os.environ["WEB_SECRET"],
    server_metadata_url=METADATA,
    client_kwargs={
        "scope": "openid profile email offline_access",
        "code_challenge_method": "S256",
        # OpenID Connect Core 11: offline access is given when consent is asked for.
        "prompt": "consent",
    },
)


def endpoint(name):
    return oauth.keystead.load_server_metadata()[f"{name}_endpoint"]


@app.get("/login")
def login():
    return oauth.keystead.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    token = oauth.keystead.authorize_access_token()
    web = OAuth2Session(os.environ["WEB_ID"], os.environ["WEB_SECRET"], token=token)
    refreshed = web.refresh_token(endpoint("token"))
    return {
        "id_token_claims": token["userinfo"],
        "userinfo": oauth.keystead.userinfo(token=refreshed),
        "refreshed": refreshed["access_token"] != token["access_token"],
    }


@app.get("/service")
def service():
    """A machine with a secret."""
    session = OAuth2Session(
        os.environ["SERVICE_ID"], os.environ["SERVICE_SECRET"], token_endpoint_auth_method="client_secret_basic"
    )
    return session.fetch_token(endpoint("token"), grant_type="client_credentials", scope="demo:read")


@app.get("/signing-service")
def signing_service():
    """A machine with a key; without an argument the assertion is meant for the token endpoint, as Authlib has it."""
    session = OAuth2Session(
        os.environ["SIGNING_ID"], os.environ["SIGNING_KEY"], token_endpoint_auth_method="private_key_jwt"
    )
    session.register_client_auth_method(PrivateKeyJWT(request.args.get("audience"), headers={"kid": "authlib"}))
    return session.fetch_token(endpoint("token"), grant_type="client_credentials", scope="demo:read")


@app.post("/introspect")
def introspect():
    api = OAuth2Session(os.environ["API_ID"], os.environ["API_SECRET"])
    return api.introspect_token(endpoint("introspection"), token=request.form["token"]).json()


@app.post("/revoke")
def revoke():
    session = OAuth2Session(os.environ["SERVICE_ID"], os.environ["SERVICE_SECRET"])
    return "", session.revoke_token(endpoint("revocation"), token=request.form["token"]).status_code


@app.errorhandler(Exception)
def told(error):
    return f"{type(error).__name__}: {error}", 500


app.run("127.0.0.1", int(os.environ["PORT"]))
