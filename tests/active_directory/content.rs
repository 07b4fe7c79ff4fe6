//! What is read: people, emails, states, groups and who is in them.

use directory_sync::directory::{AccountState, Lookup};
use directory_sync::problem::ProblemReason;
use directory_sync::source::Source as _;
use directory_sync::source::active_directory::{ActiveDirectorySource, EmailFrom, Groups};

use crate::domain::*;

#[tokio::test(flavor = "multi_thread")]
async fn people_are_read_whatever_keeps_them_from_logging_on_and_nothing_else_is() {
    needs_samba!();
    let _changing = changing().await;
    let unit = own_unit("Kinds", |ldif, unit| {
        User::new("active").add_to(ldif, unit);
        let mut disabled = User::new("disabled");
        disabled.status = AccountStatus::Disabled;
        disabled.add_to(ldif, unit);
        // 2001-01-01, in the hundred nanoseconds since 1601 that Windows counts.
        let mut expired = User::new("expired");
        expired.more = vec![("accountExpires", "126227808000000000".into())];
        expired.add_to(ldif, unit);
        let mut nameless = User::new("nameless");
        nameless.mail = None;
        nameless.add_to(ldif, unit);
        let computer = [
            ("objectClass", "computer"),
            ("sAMAccountName", "printer$"),
            ("userAccountControl", "4096"),
            ("mail", "printer@example.com"),
        ];
        ldif.entry(&format!("CN=printer,{unit}"), &computer);
        let service = [
            ("objectClass", "msDS-ManagedServiceAccount"),
            ("sAMAccountName", "service$"),
            ("userAccountControl", "4096"),
            ("mail", "service@example.com"),
        ];
        ldif.entry(&format!("CN=service,{unit}"), &service);
        let contact = [("objectClass", "contact"), ("mail", "contact@example.com")];
        ldif.entry(&format!("CN=contact,{unit}"), &contact);
    });

    let directory = read(settings_within(&unit)).await;

    let active = |email: &str| (email.to_owned(), AccountState::Active);
    assert_eq!(
        people(&directory),
        [
            active("(there is no email)"),
            active("active@example.com"),
            ("disabled@example.com".to_owned(), AccountState::Disabled),
            active("expired@example.com"),
        ]
    );
    let whole = read(settings()).await;
    let mut built_in = whole
        .users
        .iter()
        .filter_map(|user| user.email.as_ref().err());
    assert!(
        built_in.all(|email| !email.entry.contains("Administrator")),
        "the accounts that come with every domain are nobody's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_is_the_guid_as_windows_writes_it_and_stays_whatever_happens_to_the_entry() {
    needs_samba!();
    let _changing = changing().await;
    let mut ann = String::new();
    let unit = own_unit("Moves", |ldif, unit| {
        ldif.unit("OU=Moves", "Alumni");
        ann = User::new("ann").add_to(ldif, unit);
        group(ldif, unit, "team", &[&ann]);
    });
    let before = read(settings_within(&unit)).await;

    domain()
        .modify(&format!(
            "dn: {ann}\nchangetype: modrdn\nnewrdn: CN=Ann Smith\\, PhD\ndeleteoldrdn: 1\n\
             newsuperior: OU=Alumni,{unit}\n\n\
             dn: CN=team,{unit}\nchangetype: modrdn\nnewrdn: CN=crew\ndeleteoldrdn: 1\n"
        ))
        .unwrap();
    let after = read(settings_within(&unit)).await;

    assert_eq!(before.users[0].id, after.users[0].id);
    assert_eq!(before.groups[0].id, after.groups[0].id);
    assert_eq!(members(&before, "team"), ["ann"]);
    assert_eq!(members(&after, "crew"), ["ann"]);
    // ldbsearch writes GUIDs as Windows does.
    let written = domain()
        .search(&["sAMAccountName=ann", "objectGUID"])
        .unwrap();
    assert!(
        written.contains(&format!("objectGUID: {}", after.users[0].id)),
        "{written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_people_is_seen_at_the_next_read() {
    needs_samba!();
    let _changing = changing().await;
    let mut dns = vec![];
    let unit = own_unit("Events", |ldif, unit| {
        dns = ["stays", "leaves", "returns", "renamed"]
            .map(|name| User::new(name).add_to(ldif, unit))
            .into();
        group(ldif, unit, "club", &dns);
    });
    let set = |dn: &str, attribute: &str, value: &str| {
        let change =
            format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n");
        domain().modify(&change).unwrap();
    };
    let state = async |name: &str| {
        let all = people(&read(settings_within(&unit)).await);
        all.into_iter()
            .find(|(email, _)| email.starts_with(name))
            .map(|(_, state)| state)
    };
    set(&dns[2], "userAccountControl", "546");
    assert_eq!(state("returns").await, Some(AccountState::Disabled));
    set(&dns[2], "userAccountControl", "544");
    assert_eq!(state("returns").await, Some(AccountState::Active));

    set(&dns[3], "mail", "New.Name@example.com");
    domain()
        .modify(&format!("dn: {}\nchangetype: delete\n", dns[1]))
        .unwrap();
    let directory = read(settings_within(&unit)).await;
    let all = ["new.name", "returns", "stays"];
    assert_eq!(members(&directory, "club"), all);
    assert_eq!(
        emails(&directory),
        all.map(|name| format!("{name}@example.com"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_email_comes_from_where_the_settings_say() {
    needs_samba!();
    let _changing = changing().await;
    let unit = own_unit("Emails", |ldif, unit| {
        let mut with_mail = User::new("one");
        with_mail.more = vec![
            ("proxyAddresses", "smtp:other@example.com".into()),
            ("proxyAddresses", "SMTP:Primary@example.com".into()),
            ("proxyAddresses", "x500:/o=Example".into()),
        ];
        with_mail.add_to(ldif, unit);
        let mut without = User::new("two");
        without.mail = None;
        without.add_to(ldif, unit);
    });
    let from = async |email: EmailFrom| {
        let mut settings = settings_within(&unit);
        settings.users.email = email;
        emails(&read(settings).await)
    };
    let none = "(there is no email)";
    assert_eq!(from(EmailFrom::Mail).await, [none, "one@example.com"]);
    assert_eq!(
        from(EmailFrom::MailOrUserPrincipalName).await,
        ["one@example.com", "two@ad.example.test"]
    );
    assert_eq!(
        from(EmailFrom::UserPrincipalName).await,
        ["one@ad.example.test", "two@ad.example.test"]
    );
    assert_eq!(
        from(EmailFrom::ProxyAddresses).await,
        [none, "primary@example.com"]
    );
    let put_together = EmailFrom::PrefixAndSuffix {
        attribute: "sAMAccountName".into(),
        suffix: "@corp.example".into(),
    };
    assert_eq!(
        from(put_together).await,
        ["one@corp.example", "two@corp.example"]
    );
    let mail_or_put_together = EmailFrom::MailOrPrefixAndSuffix {
        attribute: "sAMAccountName".into(),
        suffix: "@corp.example".into(),
    };
    assert_eq!(
        from(mail_or_put_together).await,
        ["one@example.com", "two@corp.example"]
    );
    let mut settings = settings_within(&unit);
    settings.users.mail = Some("userPrincipalName".into());
    assert_eq!(
        emails(&read(settings).await),
        ["one@ad.example.test", "two@ad.example.test"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_groups_keep_their_people_through_a_cycle_and_through_groups_that_are_not_wanted() {
    needs_samba!();
    let _changing = changing().await;
    let mut top = String::new();
    let unit = own_unit("Nested", |ldif, unit| {
        let wanted = ldif.unit("OU=Nested", "Wanted");
        let other = ldif.unit("OU=Nested", "Other");
        let [ann, bob, cat, dan] =
            ["nann", "nbob", "ncat", "ndan"].map(|name| User::new(name).add_to(ldif, unit));
        let leaf = group(ldif, &wanted, "leaf", &[&bob]);
        let far = group(ldif, &other, "far", &[&cat]);
        let middle = group(ldif, &other, "middle", &[&far, &leaf]);
        top = group(ldif, &wanted, "top", &[&ann, &middle]);
        group(ldif, &other, "elsewhere", &[&dan]);
    });
    domain()
        .modify(&format!(
            "dn: CN=far,OU=Other,{unit}\nchangetype: modify\nadd: member\nmember: {top}\n"
        ))
        .unwrap();

    let all = read(settings_within(&unit)).await;
    assert_eq!(members(&all, "top"), ["group:middle", "nann"]);
    assert_eq!(members(&all, "middle"), ["group:far", "group:leaf"]);
    assert_eq!(members(&all, "far"), ["group:top", "ncat"]);

    let mut by_unit = settings_within(&unit);
    by_unit.groups.as_mut().unwrap().search_bases = vec![format!("OU=Wanted,{unit}")];
    let some = read(by_unit.clone()).await;
    assert_eq!(group_names(&some), ["leaf", "top"]);
    assert_eq!(members(&some, "top"), ["group:leaf", "nann", "ncat"]);
    assert_eq!(some.users.len(), 4);

    // Only those who are in a group: the people as well.
    by_unit.users.member_of = vec![top.to_uppercase()];
    let some = read(by_unit.clone()).await;
    assert_eq!(emails(&some).len(), 3, "{:?}", emails(&some));
    assert_eq!(members(&some, "top"), ["group:leaf", "nann", "ncat"]);
    by_unit.groups = None;
    let some = read(by_unit).await;
    assert_eq!((some.users.len(), some.groups.len()), (3, 0));

    let mut by_filter = settings_within(&unit);
    by_filter.groups.as_mut().unwrap().filter = Some("(|(cn=leaf)(cn=far))".into());
    let some = read(by_filter.clone()).await;
    assert_eq!(group_names(&some), ["far", "leaf"]);
    assert_eq!(members(&some, "far"), ["group:leaf", "nann", "ncat"]);
    by_filter.groups.as_mut().unwrap().dns = vec![format!("cn=FAR, ou=other,{unit}"), top];
    assert_eq!(group_names(&read(by_filter).await), ["far"]);

    let mut gone = settings_within(&unit);
    gone.users.member_of = vec![format!("CN=typo,{unit}")];
    refused(gone)
        .await
        .is_configuration()
        .says("users.memberOf")
        .says("CN=typo,ou=Nested");
    let mut gone = settings_within(&unit);
    gone.groups.as_mut().unwrap().search_bases = vec![format!("OU=typo,{unit}")];
    refused(gone).await.is_configuration().says("OU=typo");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_group_has_its_people_where_that_is_asked_for() {
    needs_samba!();
    let _changing = changing().await;
    let unit = own_unit("Primary", |ldif, unit| {
        let member = User::new("pmember").add_to(ldif, unit);
        User::new("pother").add_to(ldif, unit);
        group(ldif, unit, "primary", &[&member]);
    });
    // The group becomes the primary one, and loses its member for that.
    let sid = domain()
        .search(&["sAMAccountName=primary", "objectSid"])
        .unwrap();
    let rid = sid
        .lines()
        .find_map(|line| line.strip_prefix("objectSid: "))
        .unwrap();
    let rid = rid.rsplit_once('-').unwrap().1;
    domain()
        .modify(&format!(
            "dn: CN=pmember,{unit}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {rid}\n"
        ))
        .unwrap();
    let mut settings = settings();
    settings.users.search_bases = vec![unit.clone()];
    settings.groups = Some(Groups {
        dns: vec![
            format!("CN=primary,{unit}"),
            container("CN=Domain Users,CN=Users"),
        ],
        ..Groups::default()
    });
    let directory = read(settings.clone()).await;
    assert_eq!(members(&directory, "primary"), [""; 0]);

    settings.groups.as_mut().unwrap().include_primary = true;
    let directory = read(settings.clone()).await;
    assert_eq!(members(&directory, "primary"), ["pmember"]);
    // Samba, as Windows, made the user an ordinary member of the former primary group.
    assert_eq!(members(&directory, "Domain Users"), ["pmember", "pother"]);

    settings.users.member_of = vec![format!("CN=primary,{unit}")];
    assert_eq!(emails(&read(settings).await), ["pmember@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_other_forests_are_reported_and_those_that_mean_everybody_in_built_in_groups_are_not()
 {
    needs_samba!();
    let _changing = changing().await;
    let stranger = "S-1-5-21-1004336348-1177238915-682003330-1107";
    let unit = own_unit("Foreign", |ldif, unit| {
        // The stand-in for the stranger comes by itself.
        let dn = format!("<SID={stranger}>");
        let group_dn = format!("CN=guests,{unit}");
        ldif.entry(
            &group_dn,
            &[
                ("objectClass", "group"),
                ("sAMAccountName", "our guests"),
                // A domain-local group: the only kind that may have foreign members.
                ("groupType", "-2147483644"),
                ("member", &dn),
            ],
        );
    });
    let directory = read(settings_within(&unit)).await;
    let problems: Vec<_> = directory
        .problems
        .iter()
        .filter(|problem| problem.reason == ProblemReason::UnreadableMember)
        .collect();
    assert_eq!(problems.len(), 1, "{:?}", directory.problems);
    assert!(
        problems[0].message.contains(stranger),
        "{}",
        problems[0].message
    );
    assert_eq!(problems[0].external_ids, [directory.groups[0].id.clone()]);

    let whole = read(settings()).await;
    let all = whole
        .problems
        .iter()
        .map(|p| &p.message)
        .filter(|m| m.contains("S-1-5-"));
    assert_eq!(all.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whom_a_filter_or_base_leaves_out_is_found_when_they_are_asked_for() {
    needs_samba!();
    let _changing = changing().await;
    let mut lea = String::new();
    own_unit("Sought", |ldif, unit| {
        let mut left = User::new("lea");
        left.status = AccountStatus::Disabled;
        lea = left.add_to(ldif, unit);
        let contact = [("objectClass", "contact"), ("mail", "contact@example.com")];
        ldif.entry(&format!("CN=contact,{unit}"), &contact);
    });
    let elsewhere = own_unit("SoughtElsewhere", |_, _| {});
    let source = ActiveDirectorySource::new(settings_within(&elsewhere)).unwrap();
    let read = directory_sync_testing::read_all(&source).await.unwrap();
    assert_eq!(emails(&read), [""; 0]);
    let found = async |name: &str| directory_sync_testing::looked_up(&source, name).await;
    let disabled = ("lea@example.com".to_owned(), Some(AccountState::Disabled));
    for name in ["lea", "LEA@example.com", &lea] {
        assert_eq!(found(name).await, std::slice::from_ref(&disabled), "{name}");
    }
    let Lookup::Found(entries) = source.look_up("lea").await.unwrap() else {
        panic!("it can be asked");
    };
    let id = entries[0].id.as_ref().unwrap().as_str();
    assert_eq!(found(id).await, [disabled]);
    assert!(entries[0].entry.eq_ignore_ascii_case(&lea), "{entries:?}");
    let gone = format!("CN=nobody,{elsewhere}");
    for nobody in [
        "eve@example.com",
        "*",
        "lea)(cn=*",
        "contact@example.com",
        &gone,
    ] {
        assert_eq!(found(nobody).await, [], "{nobody}");
    }
}
