//! Makes people of entries.

use super::error::{ActiveDirectoryFailure, hidden};
use super::identity;
use super::kept::List;
use super::read::{Reader, asked, dn_key, read_entries, refuse_ranges, sid_key};
use super::settings::EmailFrom;
use std::sync::Mutex;

use crate::directory::{Account, AccountState, DirectoryBuilder, User};
use crate::ldap::connection::Connection;
use crate::ldap::digests::names;
use crate::ldap::entry::{Entry, generalized_time};
use crate::ldap::search::Next;
use crate::text::sanitize;

/// People who log on: neither computers, managed service accounts nor the accounts of trusts
/// (`sAMAccountType` is that of a normal user).
pub(super) const PEOPLE: &str =
    "(objectCategory=person)(objectClass=user)(sAMAccountType=805306368)";

/// Without those that come with every domain (Administrator, Guest, krbtgt). A global catalog
/// doesn't have the attribute, so the filter would be Undefined there and could hide everybody:
/// there they are told by their identifiers.
const NOT_BUILT_IN: &str = "(!(isCriticalSystemObject=TRUE))";

/// The bit ACCOUNTDISABLE of `userAccountControl` (MS-ADTS 2.2.16).
const DISABLED: i64 = 0x2;

impl Reader<'_> {
    /// Reads the people.
    ///
    /// # Errors
    /// Whatever leaves the list incomplete.
    pub async fn users(&self, connection: &mut Connection) -> Result<(), ActiveDirectoryFailure> {
        self.some_users(connection, self.settings.page_size, None)
            .await
            .map(drop)
    }

    /// Reads people up to `most`, in pages of `page_size`; how many came, and the first one's DN.
    pub async fn some_users(
        &self,
        connection: &mut Connection,
        page_size: u32,
        most: Option<usize>,
    ) -> Result<(usize, String), ActiveDirectoryFailure> {
        let attributes = self.user_attributes();
        let compared = self.compared_attributes();
        // A part of them says nothing of the others.
        let all = self.digests.filter(|_| self.part.is_empty());
        let mut recording = all.and_then(|digests| digests.record(&compared));
        let some = self.digests.filter(|_| !self.part.is_empty());
        let watched = names(&compared);
        let catalog = self.settings.global_catalog;
        let users = &self.settings.users;
        let filter = self.user_filter();
        let (mut count, mut first) = (0, String::new());
        let mut text = String::new();
        for base in self.bases(&users.search_bases) {
            let mut search = self.search("users", base, &filter, &attributes);
            search.page_size = page_size;
            let tried = search.tried(&connection.server);
            read_entries(connection, &search, |entry| {
                refuse_ranges(entry, &tried)?;
                if catalog && self.is_built_in(entry)? {
                    return Ok(Next::Continue);
                }
                if let Some(recording) = &mut recording {
                    recording.add(entry);
                }
                if let Some(digests) = some {
                    digests.update(entry, &watched);
                }
                self.add_user(entry, &mut text)?;
                self.keep(|kept, names| kept.add(List::Users, entry, names));
                if count == 0 {
                    first = sanitize(entry.dn());
                }
                count += 1;
                self.progress.add_users(1);
                Ok(if most == Some(count) {
                    Next::Stop
                } else {
                    Next::Continue
                })
            })
            .await?;
        }
        if let Some(recording) = recording.filter(|_| most.is_none()) {
            recording.finish();
        }
        Ok((count, first))
    }

    /// The filter of people.
    pub fn user_filter(&self) -> String {
        format!(
            "(&{PEOPLE}{}{}{})",
            if self.settings.global_catalog {
                ""
            } else {
                NOT_BUILT_IN
            },
            self.settings.users.filter.as_deref().unwrap_or_default(),
            self.part
        )
    }

    /// What is asked of people: what decides about them, and when the entry was last changed.
    pub fn user_attributes(&self) -> Vec<String> {
        let mut attributes = self.compared_attributes();
        attributes.push(self.names.changed.as_str().to_owned());
        if !self.part.is_empty() {
            attributes.push(self.names.created.as_str().to_owned());
        }
        attributes
    }

    /// What decides about people: a change of anything else doesn't matter.
    pub fn compared_attributes(&self) -> Vec<String> {
        let names = &self.names;
        let mut attributes = vec![&names.guid, &names.account_control];
        match &self.settings.users.email {
            EmailFrom::Mail => attributes.push(&names.mail),
            EmailFrom::MailOrUserPrincipalName => {
                attributes.extend([&names.mail, &names.principal]);
            }
            EmailFrom::UserPrincipalName => attributes.push(&names.principal),
            EmailFrom::ProxyAddresses => attributes.push(&names.proxies),
            EmailFrom::PrefixAndSuffix { .. } => attributes.push(&names.prefix),
            EmailFrom::MailOrPrefixAndSuffix { .. } => {
                attributes.extend([&names.mail, &names.prefix]);
            }
        }
        if self.includes_primary() || self.settings.global_catalog {
            attributes.push(&names.sid);
        }
        if self.includes_primary() {
            attributes.push(&names.primary_group);
        }
        asked(&attributes)
    }

    /// The person whom an entry describes, by itself; `None` of an account that comes with every domain.
    ///
    /// # Errors
    /// What of the entry is hidden.
    pub fn one_user(&self, entry: Entry<'_>) -> Result<Option<User>, ActiveDirectoryFailure> {
        if self.settings.global_catalog && self.is_built_in(entry)? {
            return Ok(None);
        }
        let builder = Mutex::new(DirectoryBuilder::new());
        let alone = Reader::new(self.settings, self.root, &builder, self.progress);
        alone.add_user(entry, &mut String::new())?;
        drop(alone);
        let builder = builder
            .into_inner()
            .expect("no reader panicked with the builder");
        Ok(builder.finish().into_inner().users.into_iter().next())
    }

    pub(super) fn add_user(
        &self,
        entry: Entry<'_>,
        text: &mut String,
    ) -> Result<(), ActiveDirectoryFailure> {
        let names = &self.names;
        let id = entry.bytes(&names.guid).and_then(identity::guid);
        let id = id.ok_or_else(|| hidden(entry.dn(), "objectGUID"))?;
        // Who can't be told to be enabled mustn't be taken for that.
        let control = entry.values(&names.account_control).next();
        let (flags, control) = control
            .and_then(|value| Some((value.parse::<i64>().ok()?, value)))
            .ok_or_else(|| hidden(entry.dn(), "userAccountControl"))?;
        let account = match flags & DISABLED {
            0 => Account::ACTIVE,
            _ => Account::new(AccountState::Disabled, "userAccountControl", control)
                .changed(entry.values(&names.changed).find_map(generalized_time)),
        };
        let primary = match self.includes_primary() {
            true => Some(self.primary_group(entry)?),
            false => None,
        };
        let mut builder = self
            .builder
            .lock()
            .expect("no reader panics with the builder");
        let key = dn_key(entry.dn(), text, &mut builder);
        if let Some(group) = primary {
            let group = sid_key(&group, text, &mut builder);
            builder.member_of(key, group);
        }
        let email = self.email(entry);
        builder.user(&[key], &id, &email, account, entry.dn());
        Ok(())
    }

    fn is_built_in(&self, entry: Entry<'_>) -> Result<bool, ActiveDirectoryFailure> {
        let sid = entry.bytes(&self.names.sid).and_then(identity::sid);
        let sid = sid.ok_or_else(|| hidden(entry.dn(), "objectSid"))?;
        Ok(identity::is_built_in(&sid))
    }

    fn primary_group(&self, entry: Entry<'_>) -> Result<String, ActiveDirectoryFailure> {
        let account = entry.bytes(&self.names.sid).and_then(identity::sid);
        let account = account.ok_or_else(|| hidden(entry.dn(), "objectSid"))?;
        let group = entry.values(&self.names.primary_group).next();
        group
            .and_then(|group| identity::primary_group(&account, group))
            .ok_or_else(|| hidden(entry.dn(), "primaryGroupID"))
    }

    /// The email as the settings want it; empty where there is none.
    fn email(&self, entry: Entry<'_>) -> String {
        let names = &self.names;
        let value = |name| entry.values(name).find(|v: &&str| !v.trim().is_empty());
        let put_together = |suffix: &str| {
            let prefix = value(&names.prefix);
            prefix.map(|prefix| format!("{}{suffix}", prefix.trim()))
        };
        let email = match &self.settings.users.email {
            EmailFrom::Mail => value(&names.mail).map(str::to_owned),
            EmailFrom::MailOrUserPrincipalName => value(&names.mail)
                .or_else(|| value(&names.principal))
                .map(str::to_owned),
            EmailFrom::UserPrincipalName => value(&names.principal).map(str::to_owned),
            // `smtp:` in small letters is a further address, `SMTP:` the one mail is sent from.
            EmailFrom::ProxyAddresses => entry
                .values(&names.proxies)
                .find_map(|v| v.strip_prefix("SMTP:"))
                .map(str::to_owned),
            EmailFrom::PrefixAndSuffix { suffix, .. } => put_together(suffix),
            EmailFrom::MailOrPrefixAndSuffix { suffix, .. } => value(&names.mail)
                .map(str::to_owned)
                .or_else(|| put_together(suffix)),
        };
        email.unwrap_or_default()
    }
}
