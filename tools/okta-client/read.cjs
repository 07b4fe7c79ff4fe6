// Reads an organization by the client that Okta publishes, and tells as JSON what it saw.
//
//   node read.cjs CLIENT_PACKAGE URL TOKEN
const [package_, orgUrl, token] = process.argv.slice(2);
const okta = require(package_);

const client = new okta.Client({ orgUrl, token });

async function all(collection) {
  const found = [];
  await collection.each((entry) => void found.push(entry));
  return found;
}

const person = (user) => ({ id: user.id, email: user.profile.email, status: user.status });

(async () => {
  const users = (await all(await client.userApi.listUsers({}))).map(person);
  const filter = 'status eq "DEPROVISIONED"';
  const deprovisioned = (await all(await client.userApi.listUsers({ filter }))).map(person);
  const search = 'profile.email sw "a"';
  const found = (await all(await client.userApi.listUsers({ search }))).map(person);
  const groups = {};
  for (const group of await all(await client.groupApi.listGroups({}))) {
    const members = await all(await client.groupApi.listGroupUsers({ groupId: group.id }));
    groups[group.profile.name] = members.map((user) => user.profile.email).sort();
  }
  let refused;
  try {
    await client.groupApi.getGroup({ groupId: '00gnobody' });
  } catch (error) {
    refused = { status: error.status, code: error.errorCode };
  }
  console.log(JSON.stringify({ users, deprovisioned, found, groups, refused }));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
