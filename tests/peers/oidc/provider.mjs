// A real OpenID provider (oidc-provider) on loopback for the tests: one JSON line in, one out.
// In:  {clientId, clientSecret, redirect, cert?, key?}   Out: {issuer}
// Sign-in and consent are the library's own development pages: any name is somebody.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => start(JSON.parse(line)));
lines.once('close', () => process.exit(0));

function start({ clientId, clientSecret, redirect, cert, key }) {
  let handle = (request, response) => response.writeHead(503).end();
  const serve = (request, response) => handle(request, response);
  const server = cert ? createTlsServer({ cert, key }, serve) : createServer(serve);
  server.listen(0, '127.0.0.1', () => {
    const issuer = `${cert ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: clientId,
          client_secret: clientSecret,
          redirect_uris: [redirect],
          grant_types: ['authorization_code'],
          response_types: ['code'],
        },
      ],
      claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
      conformIdTokenClaims: false,
      pkce: { required: () => true, methods: ['S256'] },
      cookies: { keys: ['a key for tests'] },
      findAccount: (context, id) => ({
        accountId: id,
        claims: () => ({ sub: id, name: `Name of ${id}`, preferred_username: id }),
      }),
    });
    handle = provider.callback();
    process.stdout.write(JSON.stringify({ issuer }) + '\n');
  });
}
