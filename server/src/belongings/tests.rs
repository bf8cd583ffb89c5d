//! Who may feed what, on made-up time.

use super::*;

fn by_credential(state: &mut State, account: &str, record: CredentialRecord) -> Bringer {
    let id = CredentialId([state.credentials.len() as u8; 16]);
    state.put(
        id,
        CredentialRecord {
            account: account.into(),
            token: id.0.repeat(2).try_into().unwrap(),
            ..record
        },
    );
    Bringer { account: account.into(), pass: Pass::Credential(id) }
}

#[test]
fn a_credential_feeds_what_it_names_until_it_expires_or_is_taken() {
    let mut state = State::default();
    let record = CredentialRecord { expires_unix_ms: Some(1000), ..CredentialRecord::golden() };
    let belt = by_credential(&mut state, "anna", record);
    assert_eq!(state.may_feed("anna:ecg", Some(&belt), 999), Ok(()));
    assert_eq!(state.may_feed("anna:ecg", Some(&belt), 1000), Err("unauthorized"));
    assert_eq!(state.may_feed("bert:ecg", Some(&belt), 999), Err("out_of_scope"));
    let Pass::Credential(id) = belt.pass else { unreachable!("it came by a credential") };
    state.take(id);
    assert_eq!(state.may_feed("anna:ecg", Some(&belt), 999), Err("unauthorized"));
    assert!(state.digests.is_empty() && state.of_account["anna"].credentials.is_empty());
}

#[test]
fn a_sensor_is_its_first_accounts_until_it_is_given_up() {
    let mut state = State::default();
    let any =
        CredentialRecord { scope: Scope::Any, expires_unix_ms: None, ..CredentialRecord::golden() };
    let anna = by_credential(&mut state, "anna", any.clone());
    let bert = by_credential(&mut state, "bert", any);
    assert_eq!(state.may_feed("ecg", None, 0), Ok(()), "nobody's may be fed by anybody");
    state.bind("ecg".into(), &anna.account, 0);
    assert_eq!(state.may_feed("ecg", Some(&anna), 0), Ok(()));
    for stranger in [Some(&bert), None] {
        assert_eq!(state.may_feed("ecg", stranger, 0), Err("not_owner"));
    }
    state.unbind("ecg");
    assert_eq!(state.may_feed("ecg", Some(&bert), 0), Ok(()));
    assert_eq!(state.of_account["anna"].sensor_count, 0);
}

#[test]
fn an_account_has_so_many_sensors() {
    let mut state = State::default();
    let any =
        CredentialRecord { scope: Scope::Any, expires_unix_ms: None, ..CredentialRecord::golden() };
    let anna = by_credential(&mut state, "anna", any);
    for n in 0..SENSOR_COUNT_MAX {
        assert_eq!(state.may_feed(&n.to_string(), Some(&anna), 0), Ok(()));
        state.bind(n.to_string().into(), &anna.account, 0);
    }
    assert_eq!(state.may_feed("one more", Some(&anna), 0), Err("too_many_sensors"));
    assert_eq!(state.may_feed("7", Some(&anna), 0), Ok(()), "those that are hers go on");
}
