// An OpenID provider that nobody of this project wrote, with one client that signs assertions.
//
//   node provider.mjs LIBRARY PORT ISSUER JWKS
//
// LIBRARY is oidc-provider's index.js, JWKS a file with the client's keys, ISSUER the address of a
// proxy in front. Says on standard output that it listens, and why it refused something.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [library, port, issuer, keys] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(library).href);

const scopes = ['okta.users.read', 'okta.groups.read', 'okta.apps.read'];
const provider = new Provider(issuer, {
  clients: [{
    client_id: '0oaserviceapp',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: JSON.parse(readFileSync(keys, 'utf8')),
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: scopes.join(' '),
  }],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'ES256', 'ES384'] },
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  routes: { token: '/oauth2/v1/token' },
  scopes,
});
provider.proxy = true;
provider.on('grant.error', (_, error) => {
  console.log(`refused: ${error.error_detail ?? error.error_description}`);
});
provider.on('server_error', (_, error) => console.log(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
