//! The people of the server, combined from its list, the known keys, and the connections with them.

use std::collections::{BTreeMap, BTreeSet};

use quiver_client::Client;
use quiver_client::peer_path::{NotDirect, PeerPath, PeerStatus};
use quiver_client::peer_store::Contact;
use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, Fingerprint};

use crate::views::{KeyKnowledge, Person};
use quiver_control::Failure;
use quiver_control::view::PathKind;

/// Clients that are read from the server's list. It may have any number.
const MAX_ROWS: usize = 20_000;

/// People that are shown. Beyond that, those who have left are left out, and then the latest.
const MAX_PEOPLE: usize = 2000;

/// What a load has found.
#[derive(Debug)]
pub(crate) struct LoadedPeople {
    rows: Vec<ClientRow>,
    contacts: Vec<Contact>,
}

/// The people, as they were loaded last.
#[derive(Debug, Default)]
pub(super) struct PeopleList {
    /// The clients that were connected since the sign-in, by number.
    rows: BTreeMap<u64, ClientRow>,
    /// By the key of the name.
    contacts: BTreeMap<String, Contact>,
    /// The names that have shown another key than before.
    changed_keys: BTreeSet<String>,
}

/// Loads the people, on the client's runtime.
pub(super) async fn load(client: Client) -> Result<LoadedPeople, Failure> {
    let mut rows = Vec::new();
    let mut all = client.status().await?;
    while let Some(row) = all.next().await?
        && rows.len() < MAX_ROWS
    {
        rows.push(row);
    }
    let server = client.server_key()?;
    let mut contacts = client.contacts().await?;
    contacts.retain(|contact| contact.server == server);
    Ok(LoadedPeople { rows, contacts })
}

impl PeopleList {
    /// Takes over what was loaded. Clients that had left before the sign-in are left out.
    pub(super) fn set(&mut self, loaded: LoadedPeople) {
        for row in loaded.rows {
            if row.end.is_none() || self.rows.contains_key(&row.number) {
                self.rows.insert(row.number, row);
            }
        }
        let here: BTreeSet<_> =
            self.rows.values().filter(|row| row.end.is_none()).map(|row| row.name.key()).collect();
        // Someone who is back has one row.
        self.rows.retain(|_, row| row.end.is_none() || !here.contains(&row.name.key()));
        if self.rows.len() > MAX_PEOPLE {
            self.rows.retain(|_, row| row.end.is_none());
        }
        while self.rows.len() > MAX_PEOPLE {
            self.rows.pop_last();
        }
        let contacts = loaded.contacts.into_iter();
        self.contacts = contacts.map(|contact| (contact.name.key(), contact)).collect();
    }

    /// Records that a name has shown another key than before.
    pub(super) fn add_changed_key(&mut self, name: &ClientName) {
        self.changed_keys.insert(name.key());
    }

    /// Whether both people have compared this key.
    pub(super) fn is_verified(&self, name: &ClientName, key: Fingerprint) -> bool {
        let contact = self.contacts.get(&name.key());
        let known = contact.and_then(|contact| contact.keys.iter().find(|known| known.key == key));
        known.is_some_and(|known| known.verified.is_some())
    }

    /// The people as the page shows them. `own` is the number of this client.
    pub(super) fn views(&self, own: Option<u64>, statuses: &[PeerStatus]) -> Vec<Person> {
        let view = |row: &ClientRow| {
            let contact = self.contacts.get(&row.name.key());
            let is_self = own == Some(row.number);
            let status = statuses.iter().find(|status| status.name.key() == row.name.key());
            let (path, path_why) = match status.map(|status| &status.path) {
                Some(PeerPath::Direct { .. }) => (Some(PathKind::Direct), None),
                Some(PeerPath::Relayed { why }) => (Some(PathKind::Relayed), Some(reason(*why))),
                Some(PeerPath::Closed) | None => (None, None),
            };
            Person {
                number: row.number,
                name: row.name.clone(),
                here: row.end.is_none(),
                is_self,
                since: row.start,
                until: row.end,
                reachable: row.reachable,
                is_account: contact.is_some_and(|contact| contact.is_account),
                key: (!is_self).then(|| self.key_knowledge(&row.name, contact)),
                blocked: contact.is_some_and(|contact| contact.is_blocked),
                path,
                path_why: path_why.map(str::to_owned),
                always_accept: contact
                    .and_then(|contact| contact.always_accept.as_ref())
                    .map(|folder| folder.display().to_string()),
            }
        };
        self.rows.values().map(view).collect()
    }

    fn key_knowledge(&self, name: &ClientName, contact: Option<&Contact>) -> KeyKnowledge {
        let keys = contact.map(|contact| contact.keys.as_slice()).unwrap_or_default();
        if self.changed_keys.contains(&name.key()) {
            KeyKnowledge::Changed
        } else if keys.iter().any(|key| key.verified.is_some()) {
            KeyKnowledge::Verified
        } else if keys.is_empty() {
            KeyKnowledge::New
        } else {
            KeyKnowledge::Known
        }
    }
}

/// Why a connection is not direct.
pub(crate) fn reason(why: NotDirect) -> &'static str {
    match why {
        NotDirect::NotAccepted | NotDirect::NotAcceptedLocally => "you have not accepted them yet",
        NotDirect::NotAcceptedRemotely => "they have not accepted you yet",
        NotDirect::Trying => "a direct connection is being tried",
        NotDirect::RelayOnly => "this client uses the relay only",
        NotDirect::Declined => "the other client does not connect directly",
        NotDirect::Unreachable => "the networks do not let the clients reach each other",
        NotDirect::Lost => "the direct connection was lost",
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use quiver_client::peer_store::ContactKey;
    use quiver_protocol::Timestamp;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(DateTime::from_timestamp(second, 0).unwrap())
    }

    fn row(number: u64, name: &str, end: Option<i64>) -> ClientRow {
        let name = ClientName::parse(name).unwrap();
        let end = end.map(at);
        ClientRow { number, name, start: at(1), end, reachable: true, one_shot: false }
    }

    fn loaded(rows: Vec<ClientRow>) -> LoadedPeople {
        LoadedPeople { rows, contacts: Vec::new() }
    }

    fn shown(list: &PeopleList) -> Vec<(u64, bool)> {
        list.views(Some(1), &[]).iter().map(|person| (person.number, person.here)).collect()
    }

    #[test]
    fn people_who_leave_stay_until_they_are_back() {
        let mut list = PeopleList::default();
        list.set(loaded(vec![row(1, "Me", None), row(2, "Old", Some(2)), row(3, "Ann", None)]));
        assert_eq!(shown(&list), [(1, true), (3, true)]);
        list.set(loaded(vec![row(1, "Me", None), row(3, "Ann", Some(4))]));
        assert_eq!(shown(&list), [(1, true), (3, false)]);
        list.set(loaded(vec![row(1, "Me", None), row(3, "Ann", Some(4)), row(4, "ann", None)]));
        assert_eq!(shown(&list), [(1, true), (4, true)]);
    }

    #[test]
    fn any_number_of_people_is_bounded() {
        let mut list = PeopleList::default();
        let most = MAX_PEOPLE as u64;
        let rows = (0..most).map(|number| row(number, &format!("c{number}"), None));
        list.set(loaded(rows.collect()));
        list.set(loaded(vec![row(0, "c0", Some(2)), row(most, "new", None)]));
        let people = shown(&list);
        assert_eq!((people.len(), people[0]), (MAX_PEOPLE, (1, true)));
        list.set(loaded(vec![row(most + 1, "one-more", None)]));
        assert_eq!(shown(&list).last(), Some(&(most, true)));
    }

    #[test]
    fn a_person_shows_what_is_known_of_the_keys() {
        let mut list = PeopleList::default();
        let (name, key) = (ClientName::parse("Ann").unwrap(), Fingerprint([1; 32]));
        let knowledge = |list: &PeopleList| list.views(Some(1), &[])[1].key;
        let contact = |verified: Option<Timestamp>| Contact {
            server: Fingerprint([9; 32]),
            name: name.clone(),
            is_account: false,
            is_accepted: true,
            is_blocked: false,
            always_accept: verified.map(|_| "/h/ann".into()),
            keys: vec![ContactKey { key, first_seen: at(1), last_seen: at(1), verified }],
        };
        let rows = vec![row(1, "Me", None), row(3, "Ann", None)];
        list.set(loaded(rows.clone()));
        assert_eq!(list.views(Some(1), &[])[0].key, None);
        assert_eq!(knowledge(&list), Some(KeyKnowledge::New));
        list.set(LoadedPeople { rows: rows.clone(), contacts: vec![contact(None)] });
        assert_eq!(knowledge(&list), Some(KeyKnowledge::Known));
        assert!(!list.is_verified(&name, key));
        list.set(LoadedPeople { rows, contacts: vec![contact(Some(at(2)))] });
        assert_eq!(knowledge(&list), Some(KeyKnowledge::Verified));
        assert_eq!(list.views(Some(1), &[])[1].always_accept.as_deref(), Some("/h/ann"));
        assert!(list.is_verified(&name, key));
        assert!(!list.is_verified(&name, Fingerprint([2; 32])));
        list.add_changed_key(&name);
        assert_eq!(knowledge(&list), Some(KeyKnowledge::Changed));
    }
}
