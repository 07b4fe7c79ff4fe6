//! The language of the connector's filters: `include:a,b|query`.

/// What a filter keeps or leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// People by email, groups by name.
    Names,
    /// Members of groups, by id.
    Groups,
    /// What is in administrative units, by id.
    Units,
}

/// One rule of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub include: bool,
    pub of: Of,
    pub values: Vec<String>,
}

/// A filter in its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub rule: Option<Rule>,
    /// What is between the first `|` and the second, in the vendor's own language.
    pub query: Option<String>,
    /// What the connector doesn't look at: it follows the last part that it knows.
    pub unused: Option<String>,
}

/// Reads a filter. `queries`: the vendor has queries; Entra ID hasn't.
///
/// # Errors
/// What can't be read.
pub fn parse(text: &str, queries: bool) -> Result<Filter, String> {
    let mut parts = text.splitn(if queries { 3 } else { 2 }, '|');
    let first = parts.next().unwrap_or_default();
    let mut rest = parts.map(str::trim);
    let mut some = || {
        rest.next()
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
    };
    let query = if queries { some() } else { None };
    Ok(Filter {
        rule: rule(first)?,
        query,
        unused: some(),
    })
}

/// One rule; `None` for a blank one, which the connector passes over.
fn rule(text: &str) -> Result<Option<Rule>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let unreadable = || {
        Err(format!(
            "{text:?} isn't a rule such as include:a,b or exclude:a,b with one colon: the connector passes \
             such a text over, and takes everybody"
        ))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let [keyword, values] = parts.as_slice() else {
        return unreadable();
    };
    let (include, of) = match keyword.trim().to_ascii_lowercase().as_str() {
        "include" => (true, Of::Names),
        "exclude" => (false, Of::Names),
        "includegroup" => (true, Of::Groups),
        "excludegroup" => (false, Of::Groups),
        "includeadministrativeunit" => (true, Of::Units),
        "excludeadministrativeunit" => (false, Of::Units),
        _ => return unreadable(),
    };
    let values = values.split(',').map(str::trim);
    let values = values.filter(|value| !value.is_empty()).map(str::to_owned);
    Ok(Some(Rule {
        include,
        of,
        values: values.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(include: bool, of: Of, values: &[&str]) -> Option<Rule> {
        Some(Rule {
            include,
            of,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        })
    }

    #[test]
    fn a_filter_is_a_rule_and_a_query_and_nothing_else_counts() {
        let text = " Include: A@x.example , b@x.example|orgName=Sales|exclude:c@x.example|d";
        let queried = parse(text, true).unwrap();
        let names = rule(true, Of::Names, &["A@x.example", "b@x.example"]);
        assert_eq!(queried.rule, names);
        assert_eq!(queried.query.as_deref(), Some("orgName=Sales"));
        assert_eq!(queried.unused.as_deref(), Some("exclude:c@x.example|d"));

        let only_a_query = parse("|status eq \"ACTIVE\"", true).unwrap();
        assert_eq!(only_a_query.rule, None);
        assert_eq!(only_a_query.query.as_deref(), Some("status eq \"ACTIVE\""));

        let without = parse("includeGroup:1,2|excludeGroup:3|exclude:a@x.example", false).unwrap();
        assert_eq!(without.rule, rule(true, Of::Groups, &["1", "2"]));
        assert_eq!(without.query, None);
        let unused = "excludeGroup:3|exclude:a@x.example";
        assert_eq!(without.unused.as_deref(), Some(unused));
        let units = parse("excludeAdministrativeUnit:7|", false).unwrap();
        assert_eq!(units.rule, rule(false, Of::Units, &["7"]));
        assert_eq!(units.unused, None);
    }

    #[test]
    fn what_the_connector_would_pass_over_is_told() {
        for text in ["Engineering", "only:a", "include:a:b|c", "include:Team: A"] {
            let error = parse(text, true).unwrap_err();
            assert!(error.contains("isn't a rule"), "{text}: {error}");
        }
    }
}
