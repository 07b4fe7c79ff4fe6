//! What a person wants to know before the first sync.

use secrecy::SecretString;

use crate::OrganizationClient;
use crate::fault::Step;
use crate::http::HttpError;
use crate::model::{Content, Organization, Seats};

/// What a person has to know before the first sync.
const VAULTWARDEN: &str = "this is Vaultwarden: it can import, and revoke by import; it can't be \
     read, so only whom this resource invited is ever revoked, and members who were added to a \
     synced group by hand leave it when the group changes; it can't remove members, rename or \
     delete groups, or stage members without an invitation; groups need ORG_GROUPS_ENABLED=true \
     on the server, which can't be seen from here; a group made by hand with the name of a \
     directory's group gets a twin";

/// Of a self-hosted server before 2026.2.0.
const TOO_OLD_TO_REVOKE: &str = "read, import, remove, link anew; it can't revoke or restore, which \
     Bitwarden can since 2026.2.0, so whom offboarding would revoke keeps access: update the server, \
     or write Remove";

impl OrganizationClient {
    /// Tries what a sync needs and reports what was seen: the key, the lists, the seats, what this
    /// server can do. Changes nothing.
    pub async fn check(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let token = self.token().await;
        let known = token.is_ok();
        steps.push(Step {
            name: format!("get a token from {}", self.identity),
            result: match token {
                Ok(()) => Ok(format!(
                    "the key of {} is accepted",
                    self.settings.client_id
                )),
                Err(error) => Err(self.token_error(error).to_string()),
            },
        });
        if !known {
            return steps;
        }
        let name = format!("read the organization from {}", self.api);
        match self.read().await {
            Ok(Organization::Read(content)) => {
                steps.push(Step {
                    name,
                    result: Ok(sizes(&content)),
                });
                steps.push(Step {
                    name: "count the seats".into(),
                    result: match self.seats().await {
                        Ok(paid) => Ok(seats(&content, paid)),
                        Err(error) => Err(error.to_string()),
                    },
                });
                steps.push(Step {
                    name: "find out what this server can do".into(),
                    result: Ok(match self.config().await {
                        Ok(config) if !config.can_revoke() => TOO_OLD_TO_REVOKE.into(),
                        _ => "read, import, revoke, restore, remove, link anew".into(),
                    }),
                });
            }
            Ok(Organization::WriteOnly) => {
                steps.push(Step {
                    name,
                    result: Ok(VAULTWARDEN.into()),
                });
                // Changes nothing there, and is refused as a real one would be.
                let import = self.import_nothing().await;
                steps.push(Step {
                    name: "import nothing".into(),
                    result: import
                        .map(|()| "imports are accepted".into())
                        .map_err(|error| error.to_string()),
                });
            }
            Err(error) => steps.push(Step {
                name,
                result: Err(error.to_string()),
            }),
        }
        steps
    }

    pub(super) async fn token(&self) -> Result<(), HttpError> {
        match &self.remote.token {
            Some(tokens) => {
                let (_, _): (SecretString, u64) = tokens.get().await?;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn sizes(content: &Content) -> String {
    let linked = content
        .members
        .iter()
        .filter(|member| member.external_id.is_some());
    format!(
        "{} members ({} with an external id), {} groups",
        content.members.len(),
        linked.count(),
        content.groups.len()
    )
}

fn seats(content: &Content, paid: Option<Seats>) -> String {
    let used = content
        .members
        .iter()
        .filter(|member| member.status.takes_seat())
        .count();
    let Some(seats) = paid else {
        return format!("{used} in use, no limit known");
    };
    let growth = match seats.autoscale_to {
        None => "grow without a limit".into(),
        Some(limit) if limit > seats.total => format!("grow up to {limit}"),
        Some(_) => "don't grow by themselves".into(),
    };
    format!("{used} of {} in use; they {growth}", seats.total)
}
