//! What the attributes that directories use to disable accounts mean.
//!
//! That an attribute is there says little: a lockout after mistyped passwords passes by itself, and
//! `FALSE` disables nobody. Where the settings name no values, well-known attributes have their own
//! meaning.

use super::entry::{AttributeName, Entry};
use crate::api::spec::LdapDisabled;

/// `userAccountControl`: ACCOUNTDISABLE (MS-ADTS 2.2.16).
const ACCOUNTDISABLE: i64 = 0x2;

/// `pwdAccountLockedTime`: locked until an administrator unlocks the account
/// (draft-behera-ldap-password-policy, 5.3.3). Any other time is a lockout that passes.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// `accountUnlockTime` of 389 Directory Server: locked until an administrator unlocks the account. Its
/// documents write 0, the server keeps the time 0.
const NEVER_UNLOCKED: [&str; 2] = ["19700101000000Z", "0"];

const SECONDS_A_DAY: i64 = 86_400;

/// How a disabled account is recognized.
pub struct Disabled<'a> {
    pub attribute: AttributeName,
    meaning: Meaning<'a>,
}

enum Meaning<'a> {
    /// These values, in any case.
    Values(&'a [String]),
    /// Only these values mean disabled, in any case.
    Only(&'static [&'static str]),
    /// A bit of a number.
    Bit(i64),
    /// A day, counted from 1970, that is over (`shadowExpire`, shadow(5)); 0 and less mean never.
    DayPassed { today: i64 },
    /// Any value but `FALSE`.
    AnyButFalse,
}

impl<'a> Disabled<'a> {
    /// As the rule has it, at this time.
    pub fn new(rule: &'a LdapDisabled, now: jiff::Timestamp) -> Self {
        let attribute = AttributeName::new(&rule.attribute);
        let values = rule.values.as_deref().unwrap_or_default();
        let meaning = if !values.is_empty() {
            Meaning::Values(values)
        } else {
            match attribute.short() {
                "pwdaccountlockedtime" => Meaning::Only(&[LOCKED_FOR_GOOD]),
                "accountunlocktime" => Meaning::Only(&NEVER_UNLOCKED),
                "nsaccountlock" | "logindisabled" => Meaning::Only(&["TRUE"]),
                "useraccountcontrol" => Meaning::Bit(ACCOUNTDISABLE),
                "shadowexpire" => Meaning::DayPassed {
                    today: now.as_second().div_euclid(SECONDS_A_DAY),
                },
                _ => Meaning::AnyButFalse,
            }
        };
        Self { attribute, meaning }
    }

    /// The value of the entry that says it is disabled.
    pub fn value<'e>(&self, entry: Entry<'e>) -> Option<&'e str> {
        entry
            .values(&self.attribute)
            .find(|value| self.means_disabled(value.trim()))
    }

    /// The attribute and what its values mean, in one text.
    pub fn describe(&self) -> String {
        let attribute = self.attribute.short();
        match &self.meaning {
            Meaning::Values(values) => {
                let mut values: Vec<String> = values
                    .iter()
                    .map(|value| value.trim().to_ascii_lowercase())
                    .collect();
                values.sort_unstable();
                values.dedup();
                format!("{attribute} is one of {values:?}")
            }
            Meaning::Only(only) => format!("{attribute} is one of {only:?}"),
            Meaning::Bit(bit) => format!("{attribute} has the bit {bit}"),
            Meaning::DayPassed { .. } => format!("{attribute} is a day that is over"),
            Meaning::AnyButFalse => format!("{attribute} isn't FALSE"),
        }
    }

    /// Whether active accounts have the attribute for a while, and lack it otherwise: these two hold the
    /// time of a lockout.
    pub fn comes_and_goes(&self) -> bool {
        matches!(
            self.attribute.short(),
            "pwdaccountlockedtime" | "accountunlocktime"
        )
    }

    fn means_disabled(&self, value: &str) -> bool {
        let number = || value.parse::<i64>().ok();
        match &self.meaning {
            Meaning::Values(values) => values
                .iter()
                .any(|wanted| wanted.trim().eq_ignore_ascii_case(value)),
            Meaning::Only(only) => only.iter().any(|only| value.eq_ignore_ascii_case(only)),
            Meaning::Bit(bit) => number().is_some_and(|number| number & bit != 0),
            Meaning::DayPassed { today } => number().is_some_and(|day| day > 0 && day <= *today),
            Meaning::AnyButFalse => !value.eq_ignore_ascii_case("FALSE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disabled(attribute: &str, values: &[&str], value: &str) -> bool {
        let rule = LdapDisabled {
            attribute: attribute.to_owned(),
            values: Some(values.iter().map(|&value| value.to_owned()).collect()),
        };
        let day_20_000 = jiff::Timestamp::from_second(20_000 * SECONDS_A_DAY + 60).unwrap();
        Disabled::new(&rule, day_20_000).means_disabled(value)
    }

    #[test]
    fn well_known_attributes_mean_what_their_vendors_say() {
        for (attribute, means_disabled, means_active) in [
            ("pwdAccountLockedTime", "000001010000Z", "20261129081936Z"),
            ("accountUnlockTime", "19700101000000Z", "20261129081936Z"),
            ("accountUnlockTime", "0", "20261129081936Z"),
            ("nsAccountLock", "true", "FALSE"),
            ("loginDisabled", "TRUE", "FALSE"),
            ("userAccountControl", "514", "512"),
            ("shadowExpire", "20000", "20001"),
            ("shadowExpire", "1", "-1"),
            ("shadowExpire", "19999", "0"),
            ("accountStatus", "gone", "false"),
        ] {
            assert!(disabled(attribute, &[], means_disabled), "{attribute}");
            assert!(!disabled(attribute, &[], means_active), "{attribute}");
        }
    }

    #[test]
    fn each_change_of_attribute_or_values_is_another_rule() {
        let meaning = |attribute: &str, values: &[&str]| {
            let rule = LdapDisabled {
                attribute: attribute.to_owned(),
                values: Some(values.iter().map(|&value| value.to_owned()).collect()),
            };
            Disabled::new(&rule, jiff::Timestamp::UNIX_EPOCH).describe()
        };
        let rules = [
            ("nsAccountLock", &[][..]),
            ("loginDisabled", &[]),
            ("employeeType", &[]),
            ("employeeType", &["left"]),
            ("employeeType", &["left", "retired"]),
            ("employeeType", &["left, retired"]),
            ("shadowExpire", &[]),
            ("userAccountControl", &[]),
        ];
        let meanings = rules.map(|(attribute, values)| meaning(attribute, values));
        let different: std::collections::BTreeSet<&String> = meanings.iter().collect();
        assert_eq!(different.len(), rules.len(), "{meanings:?}");
        // Order and case don't matter, as they don't for what is disabled.
        let same = meaning("EmployeeType", &["Retired ", "LEFT"]);
        assert_eq!(same, meaning("employeeType", &["left", "retired"]));
    }

    #[test]
    fn values_that_are_given_replace_the_meaning() {
        assert!(disabled("nsAccountLock", &["locked"], "Locked"));
        assert!(!disabled("nsAccountLock", &["locked"], "TRUE"));
        assert!(disabled(
            "pwdAccountLockedTime",
            &["20261129081936Z"],
            "20261129081936Z"
        ));
    }
}
