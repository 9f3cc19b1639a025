// A protected MCP server built on the MCP TypeScript SDK, and a client's web server with its metadata document.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createRemoteJWKSet, jwtVerify } from 'jose';

export const SCOPE = 'mcp:tools';

/** An MCP server with the tool `whoami`, for tokens of this issuer that were made for it and hold its scope. */
export class ProtectedServer {
  #server = createServer((request, response) => this.#answer(request, response));
  #verify;

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    /** Where it is, which is also its resource identifier (RFC 8707). */
    this.url = `http://127.0.0.1:${this.#server.address().port}/mcp`;
    return this;
  }

  /** Trusts this authorization server from now on. */
  trust(issuer) {
    const keys = createRemoteJWKSet(new URL(`${issuer}/oauth2/jwks`));
    this.issuer = issuer;
    this.#verify = (token) => jwtVerify(token, keys, { issuer, audience: this.url, typ: 'at+jwt' });
  }

  async #answer(request, response) {
    const metadata = new URL('/.well-known/oauth-protected-resource/mcp', this.url);
    if (request.url === metadata.pathname) {
      const document = {
        resource: this.url,
        authorization_servers: [this.issuer],
        scopes_supported: [SCOPE, 'offline_access'],
      };
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    }
    if (request.url !== '/mcp') return response.writeHead(404).end();
    const claims = await this.#claims(request.headers.authorization);
    if (claims === undefined) {
      return response.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` }).end();
    }
    const server = new McpServer({ name: 'protected', version: '1.0.0' });
    server.registerTool('whoami', { description: 'Who asks' }, () => ({
      content: [{ type: 'text', text: JSON.stringify({ sub: claims.sub, client_id: claims.client_id, aud: claims.aud }) }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
    response.on('close', () => { transport.close(); });
    await server.connect(transport);
    return transport.handleRequest(request, response);
  }

  async #claims(authorization) {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
    try {
      const { payload } = await this.#verify(token);
      return payload.scope.split(' ').includes(SCOPE) ? payload : undefined;
    } catch {
      return undefined;
    }
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** A web server with a certificate of its own that publishes one document, and counts who asks. */
export class Publisher {
  #server;
  #folder;

  async start() {
    this.#folder = await mkdtemp(join(tmpdir(), 'keystead-interop-tls-'));
    const [key, cert] = [join(this.#folder, 'key.pem'), join(this.#folder, 'cert.pem')];
    const certificate = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    await promisify(execFile)('openssl', [...certificate, ...names, '-keyout', key, '-out', cert]);
    this.asked = 0;
    this.#server = createSecureServer({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
      this.asked += 1;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.document));
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `https://localhost:${this.#server.address().port}/client.json`;
    return this;
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await rm(this.#folder, { recursive: true });
  }
}
