// The client of the MCP TypeScript SDK: finds the authorization server by itself, registers or names its document, and gets in.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { UnauthorizedError, buildDiscoveryUrls } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt } from 'jose';

import { ProtectedServer, Publisher, SCOPE } from './support/mcp.mjs';
import { Person } from './support/person.mjs';
import { adminToken } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

const REDIRECT_URI = 'http://127.0.0.1:9999/callback';

let server;
let resource;

before(async () => {
  resource = await new ProtectedServer().start();
  server = await startServer({
    KEYSTEAD__REGISTRATION__ALLOWED_SCOPES: `openid,offline_access,${SCOPE}`,
    KEYSTEAD__OUTBOUND__ALLOW_LOOPBACK: 'true',
  });
  resource.trust(server.issuer);
  const answer = await fetch(`${server.admin}/admin/v1/resource-servers`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await adminToken(server)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience: resource.url, name: 'MCP server', scopes: [SCOPE] }),
  });
  assert.equal(answer.status, 201, await answer.text());
});

after(async () => {
  resource?.stop();
  await server?.stop();
});

/** What the SDK asks an application to keep for it; a person walks through the pages. */
class Provider {
  redirectUrl = REDIRECT_URI;
  clientMetadata = {
    client_name: 'MCP client',
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  person = new Person(server);
  clientMetadataUrl;
  #client;
  #tokens;
  #verifier;

  constructor(clientMetadataUrl) {
    this.clientMetadataUrl = clientMetadataUrl;
  }

  state() { return 'the-state'; }
  clientInformation() { return this.#client; }
  saveClientInformation(client) { this.#client = client; }
  tokens() { return this.#tokens; }
  saveTokens(tokens) { this.#tokens = tokens; }
  codeVerifier() { return this.#verifier; }
  saveCodeVerifier(verifier) { this.#verifier = verifier; }
  async redirectToAuthorization(url) {
    this.authorizationUrl = url;
    this.callback = await this.person.authorize(url);
  }
}

/** Calls the tool; where nobody has allowed it yet, a person does. */
async function whoami(provider) {
  const connect = async () => {
    const transport = new StreamableHTTPClientTransport(new URL(resource.url), { authProvider: provider });
    const client = new Client({ name: 'interop', version: '1.0.0' });
    try {
      await client.connect(transport);
      return { client };
    } catch (error) {
      assert.ok(error instanceof UnauthorizedError, error);
      return { transport };
    }
  };
  let { client, transport } = await connect();
  if (client === undefined) {
    assert.equal(provider.callback.searchParams.get('iss'), server.issuer);
    assert.equal(provider.callback.searchParams.get('state'), 'the-state');
    await transport.finishAuth(provider.callback.searchParams.get('code'));
    ({ client } = await connect());
  }
  const { content } = await client.callTool({ name: 'whoami', arguments: {} });
  await client.close();
  return JSON.parse(content[0].text);
}

/** Whether the request asked for what MCP wants: PKCE, and the resource exactly as it calls itself. */
function assertRequest(url) {
  assert.equal(url.searchParams.get('resource'), resource.url);
  assert.equal(url.searchParams.get('code_challenge_method'), 'S256');
  assert.equal(url.searchParams.get('scope'), `${SCOPE} offline_access`);
}

async function assertRefreshes(provider, seen) {
  const before = provider.tokens();
  assert.ok(before.refresh_token, 'offline access was allowed');
  provider.saveTokens({ ...before, access_token: 'expired' });
  provider.redirectToAuthorization = () => assert.fail('nobody is asked again');
  assert.deepEqual(await whoami(provider), seen);
  const after = provider.tokens();
  assert.notEqual(after.refresh_token, before.refresh_token, 'refresh tokens of public clients are used once');
  assert.deepEqual(decodeJwt(after.access_token).aud, [resource.url]);
}

describe('the MCP SDK', () => {
  test('finds the metadata where RFC 8414 puts it', async () => {
    const [first] = buildDiscoveryUrls(server.issuer);
    const metadata = await (await fetch(first.url)).json();
    assert.equal(metadata.issuer, server.issuer);
    assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
    assert.equal(metadata.client_id_metadata_document_supported, true);
  });

  test('registers itself and gets a token for the one server it asked for', async () => {
    const provider = new Provider();
    const seen = await whoami(provider);
    assertRequest(provider.authorizationUrl);
    assert.equal(seen.client_id, provider.clientInformation().client_id);
    assert.deepEqual(seen.aud, [resource.url]);
    await assertRefreshes(provider, seen);
  });

  test('names its own document and is registered nowhere', async () => {
    const publisher = await new Publisher().start();
    try {
      const provider = new Provider(publisher.url);
      publisher.document = { client_id: publisher.url, ...provider.clientMetadata };
      const seen = await whoami(provider);
      assertRequest(provider.authorizationUrl);
      assert.deepEqual([seen.client_id, seen.aud], [publisher.url, [resource.url]]);
      await assertRefreshes(provider, seen);
      assert.equal(publisher.asked, 1);
    } finally {
      await publisher.stop();
    }
  });

  test('does not get in with a token for another resource', async () => {
    const provider = new Provider();
    await whoami(provider);
    const { authorizationUrl } = provider;
    authorizationUrl.searchParams.set('resource', `${resource.url}/other`);
    const callback = await provider.person.authorize(authorizationUrl);
    assert.equal(callback.searchParams.get('error'), 'invalid_target');
  });
});
