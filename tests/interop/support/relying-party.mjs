// Relying parties built on openid-client, and the demo data of `keystead dev` that they use.

import assert from 'node:assert/strict';

import * as client from 'openid-client';

export const REDIRECT_URI = 'http://127.0.0.1:9999/callback';
export const API = 'https://api.example.com';

const SECRETS = {
  'demo-web': 'demo-web-secret-000000000000000000000000',
  'demo-service': 'demo-service-secret-00000000000000000000',
  'demo-api': 'demo-api-secret-000000000000000000000000',
  'demo-admin': 'demo-admin-secret-0000000000000000000000',
};
const POSTS_ITS_SECRET = ['demo-service', 'demo-admin'];

/** The secret of a seeded client. */
export function secretOf(clientId) {
  return SECRETS[clientId];
}

/** A seeded client as `keystead dev` registers it. */
export function seeded(server, clientId, metadata = undefined) {
  const secret = SECRETS[clientId];
  if (secret === undefined) return discover(server, clientId, client.None(), metadata);
  const authenticate = POSTS_ITS_SECRET.includes(clientId) ? client.ClientSecretPost : client.ClientSecretBasic;
  return discover(server, clientId, authenticate(secret), metadata);
}

/** Finds everything through discovery; ID tokens are verified by their signature, not by trust in the connection. */
export function discover(server, clientId, authentication, metadata = undefined) {
  return client.discovery(new URL(server.issuer), clientId, metadata, authentication, {
    execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  });
}

/** A token for the admin API, by the seeded administrator. */
export async function adminToken(server, scope = 'keystead:admin') {
  const admin = await seeded(server, 'demo-admin');
  const { access_token: token } = await client.clientCredentialsGrant(admin, { scope });
  return token;
}

/** One call of the admin API; the answer has to have this status. */
export async function administer(server, method, path, document, expected) {
  const response = await fetch(`${server.admin}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${await adminToken(server)}`, 'content-type': 'application/json' },
    body: document === undefined ? undefined : JSON.stringify(document),
  });
  const body = await response.text();
  assert.equal(response.status, expected, body);
  return body === '' ? undefined : JSON.parse(body);
}

/** Registers a client through the admin API and returns its document, where its secret is if it has one. */
export function createClient(server, metadata) {
  return administer(server, 'POST', '/clients', metadata, 201);
}

/** Registers a confidential client through the admin API and returns its configuration. */
export async function registerClient(server, metadata) {
  const { client_id: id, client_secret: secret } = await createClient(server, {
    token_endpoint_auth_method: 'client_secret_basic',
    ...metadata,
  });
  assert.match(secret, /^kss_/);
  // What the library has to know about itself, too.
  const { authorization_signed_response_alg: alg } = metadata;
  return discover(server, id, client.ClientSecretBasic(secret), { authorization_signed_response_alg: alg });
}

/** A key pair of WebCrypto: the half that signs, and the other as the one key of a JWK set. */
export async function keyPair(algorithm, alg, kid) {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
  return { key: { key: privateKey, kid }, jwks: { keys: [{ kty, crv, x, y, n, e, kid, use: 'sig', alg }] } };
}

/** An authorization request with PKCE, state and nonce, and the checks its answer has to pass. */
export async function beginAuthorization(config, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const checks = {
    pkceCodeVerifier,
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    ...('max_age' in parameters && { maxAge: Number(parameters.max_age) }),
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...parameters,
  });
  return { url, checks };
}

/** The whole way from the request to the tokens; `callback` and `checks` serve to send the code again. */
export async function signIn(config, person, parameters) {
  const { url, checks } = await beginAuthorization(config, parameters);
  const callback = await person.authorize(url);
  const tokens = await client.authorizationCodeGrant(config, callback, checks);
  return { tokens, callback, checks };
}

/** OIDC Core §11: offline access is given when consent is asked for. */
export const OFFLINE = { scope: 'openid profile email offline_access', prompt: 'consent' };
