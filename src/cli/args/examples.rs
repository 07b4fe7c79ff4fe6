//! What `--help` says below the flags: examples, exit codes, environment.

pub const PROGRAM: &str = "\
Examples:
  directory-sync check -f staff.yaml         is all reachable and allowed?
  directory-sync plan -f staff.yaml          what would a sync change?
  directory-sync sync -f staff.yaml          do it, once
  directory-sync explain -f staff.yaml ann@example.com
                                             why is she a member, or not?
  directory-sync adopt --from data.json      come from the Directory Connector
  directory-sync crds | kubectl apply -f -   prepare a cluster

plan, sync, explain and check need no cluster: they read the same manifests
that are applied to one.";

pub const PLAN: &str = "\
Several resources are planned one after another; choose with --namespace and
--name.

Examples:
  directory-sync plan -f staff.yaml -f secrets/
  directory-sync plan -f staff.yaml --secret-dir /run/secrets -o html > p.html
  kubectl get dsync,secret,configmap -n identity -o yaml |
    directory-sync plan -f -

Exit codes:
  0  the plan was made (with --detailed-exitcode: and there is nothing to do)
  1  something failed; the reason is on stderr
  2  with --detailed-exitcode: changes are pending";

pub const EXPLAIN: &str = "\
Reads both sides as plan does. Says whether the directory has the person or
group, whether it is in scope or which rule leaves it out, through which groups
somebody is in a group, what the organization has, what the next run does, and
what earlier syncs changed. Several resources are asked one after another.

Examples:
  directory-sync explain -f staff.yaml ann@example.com
  directory-sync explain -f staff.yaml Engineering
  directory-sync explain -f staff.yaml cn=ann,dc=example,dc=com -o json

Exit codes:
  0  explained
  1  something failed; the reason is on stderr
  4  neither side of any resource has it";

pub const SYNC: &str = "\
On a terminal the changes are shown and confirmed first. Then both sides are
read again: exactly what was confirmed is done, and where that would be
something else by now, it is shown again. Elsewhere --yes is needed. Changes
past one of the resource's limits are held: none of them is made until their
digest is approved.

Examples:
  directory-sync sync -f staff.yaml
  directory-sync sync -f staff.yaml --yes --quiet
  directory-sync sync -f staff.yaml --yes \\
    --approve 3f1c9a0b62d47e5588a1f0c4d9e27b16

Exit codes:
  0  done; the organization is in sync with the directory
  1  something failed, or the changes weren't confirmed; the reason is on stderr
  3  done, except for changes that are held until they are approved";

pub const HISTORY: &str = "\
Reads the state folder, where sync notes each change that it sends; it asks
neither side.

Examples:
  directory-sync history -f staff.yaml --person ann@example.com
  directory-sync history -f staff.yaml --since 7d -o json |
    jq '.[].person.email'";

pub const UNDO: &str = "\
Reads the state folder, where sync notes what it sends, and the organization.
Only what is still as the run left it is taken back; the rest is named. Limits
hold what an undo takes away, as they do for sync.

Examples:
  directory-sync undo -f staff.yaml 52dd86bade
  directory-sync undo -f staff.yaml --last --dry-run
  directory-sync undo -f staff.yaml 52dd86 --person ann@example.com --yes

Exit codes:
  0  done, or nothing was left to take back
  1  something failed, or it wasn't confirmed; the reason is on stderr
  3  done, except for changes that are held until they are approved";

pub const CHECK: &str = "\
Changes nothing. Tries to reach, trust, authenticate and read on both sides, and
prints one line for each step with what was seen, or what failed and what to do.

Examples:
  directory-sync check -f staff.yaml
  directory-sync check -f . -R --secret-dir /run/secrets --name staff

Exit codes:
  0  every step went well
  1  a step failed";

pub const ADOPT: &str = "\
Reads the connector's settings, asks neither side. Writes a DirectorySync, its
Secrets, and a page that says what is different, setting by setting.

Examples:
  directory-sync adopt --from data.json --name staff
  LDAP_PASSWORD=… directory-sync adopt --secret-env directory=LDAP_PASSWORD
  directory-sync adopt --from data.json --compare staff    who differs, and why?
  directory-sync adopt --undo staff --dry-run     who gets the former ID back?

Exit codes:
  0  written; what is missing is on stderr
  1  something can't be taken over, and nothing was written; stderr says why";

pub const OPERATOR: &str = "\
Connects as kubectl does: with the pod's service account, or KUBECONFIG. Traces
are sent over OTLP (http/protobuf) where OTEL_EXPORTER_OTLP_ENDPOINT is set; the
other OTEL_* variables count.

Examples:
  directory-sync operator --leader-elect
  directory-sync operator --watch-namespaces identity,hr --log-level debug
  directory-sync operator --label-selector shard=a --leader-elect

Exit codes:
  0  stopped by a signal, after the work at hand was brought to a safe end
  1  the operator can't run; the reason is on stderr";

pub const HEALTHY: &str = "\
Needs no rights in the cluster: everybody who may connect may ask what it
serves.

Examples:
  directory-sync healthy --url http://directory-sync.directory-sync:8080

Exit codes:
  0  the operator is ready, and DirectorySync is served
  1  one of them isn't, or there is no cluster to ask";

pub const CRDS: &str = "\
Examples:
  directory-sync crds | kubectl apply --server-side -f -";

pub const COLLECTIONS: &str = "\
Names of collections are encrypted, so nobody but their users can read them: a
rule of access.collections names a collection by its id or its external id. An
id is in the address of the web vault when the collection is open.

Examples:
  directory-sync collections -f staff.yaml -f secrets/
  directory-sync collections -f staff.yaml -o json
  directory-sync collections -f staff.yaml \\
    --set-external-id 9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10=infra

Of the manifest's Secrets and ConfigMaps only those of the organization are
needed.

Exit codes:
  0  all were listed, and have their external ids
  1  something failed; the reason is on stderr";
