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
    pub rules: Vec<Rule>,
    /// What follows the first `|`, where that is in the vendor's own language.
    pub query: Option<String>,
}

/// Reads a filter. `clauses`: what follows `|` are further rules (Entra ID), and no query.
///
/// # Errors
/// What can't be read.
pub fn parse(text: &str, clauses: bool) -> Result<Filter, String> {
    let mut filter = Filter::default();
    let (first, rest) = match text.split_once('|') {
        Some((first, rest)) => (first, Some(rest.trim())),
        None => (text, None),
    };
    filter.rules.extend(rule(first)?);
    match rest.filter(|rest| !rest.is_empty()) {
        Some(rest) if clauses => {
            for clause in rest.split('|') {
                filter.rules.extend(rule(clause)?);
            }
        }
        rest => filter.query = rest.map(str::to_owned),
    }
    Ok(filter)
}

/// One rule; `None` for a blank one, which the connector passes over.
fn rule(text: &str) -> Result<Option<Rule>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let unreadable = || {
        Err(format!(
            "{text:?} isn't a rule such as include:a,b or exclude:a,b: the connector passes such a \
             text over, and takes everybody"
        ))
    };
    let Some((keyword, values)) = text.split_once(':') else {
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

    fn rule(include: bool, of: Of, values: &[&str]) -> Rule {
        Rule {
            include,
            of,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[test]
    fn a_filter_is_rules_and_a_query_or_further_rules() {
        let queried = parse(" Include: A@x.example , b@x.example|orgName=Sales|x", false).unwrap();
        let names = rule(true, Of::Names, &["A@x.example", "b@x.example"]);
        assert_eq!(queried.rules, [names]);
        assert_eq!(queried.query.as_deref(), Some("orgName=Sales|x"));

        let only_a_query = parse("|status eq \"ACTIVE\"", false).unwrap();
        assert_eq!(only_a_query.rules, []);
        assert_eq!(only_a_query.query.as_deref(), Some("status eq \"ACTIVE\""));

        let clauses = parse("includeGroup:1,2|excludeGroup:3|exclude:a@x.example", true).unwrap();
        let all = [
            rule(true, Of::Groups, &["1", "2"]),
            rule(false, Of::Groups, &["3"]),
            rule(false, Of::Names, &["a@x.example"]),
        ];
        assert_eq!(clauses.rules, all);
        assert_eq!(clauses.query, None);
        let units = parse("excludeAdministrativeUnit:7", true).unwrap();
        assert_eq!(units.rules, [rule(false, Of::Units, &["7"])]);
    }

    #[test]
    fn what_the_connector_would_pass_over_is_told() {
        for text in ["Engineering", "only:a", "include:a|b"] {
            let error = parse(text, true).unwrap_err();
            assert!(error.contains("isn't a rule"), "{text}: {error}");
        }
    }
}
