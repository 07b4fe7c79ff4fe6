//! Whom to take, what may happen to them, and how often.

use serde_json::json;

use super::Translator;
use crate::cli::adopt::read::Kind;

/// The connector's default, and the least that it takes, in minutes.
const INTERVAL: u64 = 5;

impl Translator<'_> {
    pub(super) fn policy(&mut self) {
        let sync = self.sync();
        let minutes = sync.number("interval").unwrap_or(INTERVAL).max(1);
        self.put(
            sync.name("interval"),
            "interval",
            format!("{minutes}m"),
            "in minutes; the command line of the connector runs when it is called",
        );
        if !sync.flag("users", false) {
            match self.choices.with_users {
                true => self.row(
                    sync.name("users"),
                    false,
                    "people are synced (`--with-users`)",
                    "the connector syncs groups only",
                ),
                false => self.refused.push(format!(
                    "{}: the connector syncs groups only. A DirectorySync knows by its people who is in a \
                     group, and syncs them, too: add --with-users. Members keep what they have; filters \
                     of people (sync.userFilter, or users.include in the resource) keep others out",
                    sync.name("users")
                )),
            }
        }
        if !sync.flag("groups", false) {
            self.put(
                sync.name("groups"),
                "groups.exclude",
                json!(["*"]),
                "no groups are synced, as before",
            );
            if let Some(groups) = self
                .out
                .spec
                .get_mut("groups")
                .and_then(|all| all.as_object_mut())
            {
                groups.retain(|key, _| key == "exclude");
            }
        }
        if self.choices.adopt_groups && sync.flag("groups", false) {
            self.set("groups.adopt", true);
            self.row(
                "groups without an external ID",
                "made by hand",
                "`groups.adopt: true`",
                "taken over by their names (`--adopt-groups`), where only one group has the name on either \
                 side; the connector makes a second one. Take it out once that is done",
            );
        }
        let invite = sync.flag("inviteUsersAfterProvisioning", false);
        let remark = match invite {
            true => "",
            false => {
                "the connector's default: newcomers are staged, and somebody invites them. Where the server \
                 can't stage, the connector's invitations went out all the same; here nobody is added then"
            }
        };
        self.put(
            sync.name("inviteUsersAfterProvisioning"),
            "onboarding.invite",
            invite,
            remark,
        );
        let disabled = sync.flag("removeDisabled", false);
        let (action, remark) = match disabled {
            true => (
                "Revoke",
                "the connector removes them from the organization; here they lose access and keep account \
                 and data (`Remove` removes them)",
            ),
            false => (
                "Retain",
                "the connector treats disabled accounts as active and invites them; here they keep what \
                 they have, and nobody disabled is added. `Revoke` is what most want",
            ),
        };
        self.put(
            sync.name("removeDisabled"),
            "offboarding.disabled",
            action,
            remark,
        );
        if matches!(
            self.from.kind,
            Kind::EntraId | Kind::GoogleWorkspace | Kind::Okta
        ) {
            self.set("offboarding.deleted", "Revoke");
            self.row(
                "deleted accounts",
                "always removed",
                "`offboarding.deleted: Revoke`",
                "of those the directory lists as deleted the connector removes the members; here they lose \
                 access (`Remove` removes them)",
            );
        }
        let overwrite = sync.flag("overwriteExisting", false);
        let (action, remark) = match overwrite {
            true => (
                "Revoke",
                "the connector removes everybody with an external ID whom it doesn't send; here they lose \
                 access, within `offboarding.limit` a day",
            ),
            false => (
                "Retain",
                "whoever is gone from the directory stays a member; groups follow the directory, as with the \
                 connector",
            ),
        };
        self.put(
            sync.name("overwriteExisting"),
            "offboarding.absent",
            action,
            remark,
        );
        if sync.flag("largeImport", false) {
            let ours = "not needed";
            self.row(
                sync.name("largeImport"),
                true,
                ours,
                "large imports are sent in parts that the server takes",
            );
        }
        self.out.differences.extend([
            "Nothing changes before you set `mode: Apply`: the resource is written with `mode: Preview`.",
            "Limits hold back what goes beyond a share a day (`offboarding.limit`, `onboarding.limit`) \
             until somebody approves it. The connector has none.",
            "Nesting is resolved over all groups, then the filter: the connector follows nested groups only \
             among those that its filter leaves.",
            "Two active people with one email are left as they are and reported, and everybody else is \
             synced. With the connector the whole import fails.",
            "Groups that the directory doesn't have any more stay, as with the connector (`groups.prune` \
             deletes them).",
            "The organization is read each time, so that changes by hand are corrected. The connector sends \
             nothing while the directory doesn't change.",
        ]);
    }
}
