// Reads a tenant by the client that Microsoft publishes, and tells as JSON what it saw.
//
//   node read.cjs CLIENT_PACKAGE URL TENANT CLIENT_ID CLIENT_SECRET
//
// The client speaks https alone: it gives no token to another address and follows no other link. The last
// of its handlers, which sends, is replaced by one that takes the s away, and adds it to links.
const [package_, url, tenant, clientId, clientSecret] = process.argv.slice(2);
const graph = require(package_);

const secure = url.replace(/^http:/, 'https:');

async function getAccessToken() {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: `${url}/.default`,
  });
  const answer = await fetch(`${url}/${tenant}/oauth2/v2.0/token`, { method: 'POST', body: form });
  return (await answer.json()).access_token;
}

class Sender {
  async execute(context) {
    const answer = await fetch(context.request.replace(secure, url), context.options);
    const text = (await answer.text()).replaceAll(`"${url}/`, `"${secure}/`);
    context.response = new Response(text, { status: answer.status, headers: answer.headers });
  }
}

const handlers = [
  new graph.AuthenticationHandler({ getAccessToken }),
  new graph.RetryHandler(new graph.RetryHandlerOptions()),
  new graph.TelemetryHandler(),
  new Sender(),
];
handlers.forEach((handler, n) => handler.setNext?.(handlers[n + 1]));
const client = graph.Client.initWithMiddleware({
  baseUrl: `${secure}/`,
  customHosts: new Set([new URL(url).hostname]),
  middleware: handlers[0],
});

async function all(request) {
  const found = [];
  const page = await request.get();
  await new graph.PageIterator(client, page, (entry) => found.push(entry) > 0).iterate();
  return found;
}

(async () => {
  const users = await all(
    client.api('/users').select('id,mail,userPrincipalName,accountEnabled').top(2),
  );
  const groups = {};
  for (const group of await all(client.api('/groups').select('id,displayName').top(2))) {
    const members = await all(client.api(`/groups/${group.id}/members`).select('id').top(2));
    groups[group.displayName] = members.map((member) => [member['@odata.type'], member.id]);
  }
  const deleted = await all(
    client.api('/directory/deletedItems/microsoft.graph.user').select('id,deletedDateTime'),
  );
  const disabled = await client
    .api('/users').filter('accountEnabled eq false').select('id')
    .header('ConsistencyLevel', 'eventual').count(true).get();
  let refused;
  try {
    await client.api('/users').select('shoeSize').get();
  } catch (error) {
    refused = { status: error.statusCode, code: error.code, message: error.message };
  }
  const batch = new graph.BatchRequestContent([
    { id: 'one', request: new Request(`${secure}/groups`, { method: 'GET' }) },
  ]);
  const parts = new graph.BatchResponseContent(
    await client.api('/$batch').post(await batch.getContent()),
  );
  const part = await parts.getResponseById('one').json();
  console.log(JSON.stringify({
    users,
    groups,
    deleted: deleted.map((user) => user.id),
    disabled: disabled['@odata.count'],
    refused,
    batch: part.value.length,
  }));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
