//! A [`Snapshot`] as people read it.

use std::fmt;

use super::model::Snapshot;

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.members.keys().map(|email| email.chars().count()).max();
        let wide = widest.unwrap_or_default().max("EMAIL".len());
        writeln!(
            formatter,
            "{:wide$}  {:9}  {:6}  EXTERNAL ID",
            "EMAIL", "STATUS", "ROLE"
        )?;
        for (email, member) in &self.members {
            let status = format!("{:?}", member.status);
            let role = format!("{:?}", member.role);
            let external_id = member.external_id.as_deref().unwrap_or("-");
            writeln!(
                formatter,
                "{email:wide$}  {status:9}  {role:6}  {external_id}"
            )?;
        }
        let widest = self.groups.iter().map(|group| group.name.chars().count());
        let wide = widest.max().unwrap_or_default().max("GROUP".len());
        writeln!(
            formatter,
            "\n{:wide$}  {:7}  EXTERNAL ID",
            "GROUP", "MEMBERS"
        )?;
        for group in &self.groups {
            let members = group.members.len();
            let external_id = group.external_id.as_deref().unwrap_or("-");
            writeln!(
                formatter,
                "{:wide$}  {members:7}  {external_id}",
                group.name
            )?;
        }
        Ok(())
    }
}
