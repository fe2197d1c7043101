//! Who may claim, and at which price: codes are looked up in the store, and the shop's own check is
//! asked. Whoever cannot be checked is not let in, and is told so.
//!
//! Codes are kept and compared as keyed marks only. Wrong ones are counted for each browser and
//! each address, in memory: a restart forgives them.

mod check;
mod guesses;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    check::{Check, Question},
    guesses::{Guesses, TRIES_WITHIN},
};
use crate::{
    clock::Timestamp,
    finding::Finding,
    mac::{derive, mark},
    sale::{
        offer::{Code, CodeList, Extras, Judge, Whose},
        refusal::Refusal,
        template::Template,
    },
    secret::Secret,
    store::{Doc, DocChange, Store, StoreError},
    view::View,
};

/// The longest code, in characters.
const CODE_CHARS_MAX: usize = 100;

/// Documents of codes.
const KIND: &str = "code";

/// Codes written in one transaction.
const BATCH: usize = 500;

/// The key under which codes are marked, made from the shop's secret.
#[derive(Clone)]
pub struct CodeKey(Vec<u8>);

impl CodeKey {
    /// The key of a shop.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(derive(secret, "codes"))
    }

    /// The mark of a code in a list: case, spaces and dashes, of whatever length, do not count. None for what is no code.
    pub fn mark(&self, list: &str, code: &str) -> Option<String> {
        let plain: String = code
            .chars()
            .filter(|c| !c.is_whitespace() && !is_dash(*c) && !is_invisible(*c))
            .flat_map(char::to_uppercase)
            .collect();
        is_code(&plain).then(|| mark(&self.0, &format!("{list}\n{plain}")))
    }
}

/// A dash, whichever a spreadsheet or a telephone made of it.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}')
}

/// What takes no room: a mark at the beginning of a file, what is copied along with a text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// The code in a line of a list, as spreadsheets write one: perhaps in quotes, perhaps with empty
/// columns beside it.
fn listed(line: &str) -> Result<&str, &'static str> {
    let quotes = ['"', '\'', '“', '”', '„', '‘', '’'];
    let mut cells = line.split([';', ',', '\t']).map(str::trim).filter(|cell| !cell.is_empty());
    let cell = cells.next().ok_or("it is empty")?;
    if cells.next().is_some() {
        return Err("it has several columns: leave only the codes, one a line");
    }
    let bare =
        cell.strip_prefix(quotes).and_then(|rest| rest.strip_suffix(quotes)).unwrap_or(cell).trim();
    if bare.contains(quotes) {
        return Err("it has a quotation mark in it");
    }
    Ok(bare)
}

/// Whether a text can be a code at all.
fn is_code(text: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// What a buyer gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// For the condition.
    pub code: Option<&'a str>,
    /// For a special price.
    pub special: Option<&'a str>,
}

/// Who gives it.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    /// Their browser's buyer.
    pub buyer: &'a str,
    /// The marks of their address; none for trusted ones.
    pub address: Option<&'a str>,
}

/// Stands before claims.
pub struct Gate {
    key: CodeKey,
    check: Check,
    guesses: Guesses,
}

impl Gate {
    /// A gate; `secret` signs what the shop's own check is asked.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(key: CodeKey, secret: Secret) -> Result<Self, reqwest::Error> {
        Ok(Self { key, check: Check::new(secret)?, guesses: Guesses::default() })
    }

    /// Checks what a buyer gave and lays the result down in their choices.
    ///
    /// # Errors
    /// Says why they may not claim.
    pub async fn admit(
        &self,
        store: &dyn Store,
        view: &View,
        (guest, given): (Guest<'_>, Given<'_>),
        now: Timestamp,
        extras: &mut Extras,
    ) -> Result<(), Refusal> {
        let special = given.special.filter(|_| view.offers.special_lists().next().is_some());
        if view.offers.condition.is_none() && special.is_none() {
            return Ok(());
        }
        if let Some(condition) = &view.offers.condition
            && given.code.is_none()
        {
            return Err(Refusal::CodeMissing { label: condition.label.clone() });
        }
        // Counted before anything is judged, so that many at once are no more than one by one.
        let guess = self.guesses.begin(guest, now)?;
        let _wait = match guess.is_slow {
            false => None,
            true => Some(self.guesses.slowly().await.ok_or_else(|| Refusal::CheckAway {
                label: view.offers.condition.as_ref().map_or(SPECIAL, |c| &c.label).to_owned(),
            })?),
        };
        match self.judge(store, view, (given, special), now, extras).await {
            Err(Refusal::CodeWrong { .. }) if guess.is_slow => {
                Err(Refusal::CodeTries { after: TRIES_WITHIN })
            }
            Err(Refusal::CodeWrong { label }) => Err(Refusal::CodeWrong { label }),
            // Right, or not judged: it was no wrong guess.
            other => {
                self.guesses.take_back(guest, now);
                other
            }
        }
    }

    /// Whether the codes are right; lays down what they give.
    async fn judge(
        &self,
        store: &dyn Store,
        view: &View,
        (given, special): (Given<'_>, Option<&str>),
        now: Timestamp,
        extras: &mut Extras,
    ) -> Result<(), Refusal> {
        let mut codes = BTreeSet::new();
        if let Some(condition) = &view.offers.condition {
            let label = condition.label.clone();
            let code = given.code.ok_or_else(|| Refusal::CodeMissing { label: label.clone() })?;
            let away = || Refusal::CheckAway { label: label.clone() };
            let right = match &condition.judge {
                Judge::List(list) => {
                    let found = self.find(store, list, code).await.map_err(|_| away())?;
                    codes.extend(found.iter().flatten().cloned());
                    found.is_some()
                }
                Judge::Url { .. } if !is_code(code) => false,
                Judge::Url { url } => {
                    let question = Question { url, code, view, at: now };
                    self.check.ask(&question).await.map_err(|_| away())?
                }
            };
            if !right {
                return Err(Refusal::CodeWrong { label });
            }
            extras.admitted = true;
        }
        if let Some(code) = special {
            let label = SPECIAL.to_owned();
            let mut best: Option<(i64, String, Option<Code>)> = None;
            for special in &view.offers.specials {
                let Whose::List(list) = &special.of else { continue };
                let away = |_| Refusal::CheckAway { label: label.clone() };
                let Some(code) = self.find(store, list, code).await.map_err(away)? else {
                    continue;
                };
                if best.as_ref().is_none_or(|(price, ..)| special.price.minor < *price) {
                    best = Some((special.price.minor, special.key(), code));
                }
            }
            let Some((_, key, code)) = best else {
                return Err(Refusal::CodeWrong { label });
            };
            extras.special = Some(key);
            codes.extend(code);
        }
        extras.codes = codes.into_iter().collect();
        Ok(())
    }

    /// Whether a list has a code; if it counts once, the code that is used up by it.
    async fn find(
        &self,
        store: &dyn Store,
        list: &CodeList,
        code: &str,
    ) -> Result<Option<Option<Code>>, StoreError> {
        let Some(mark) = self.key.mark(&list.name, code) else { return Ok(None) };
        let found = store.doc(KIND, &mark).await?.filter(|doc| doc.parent == list.name);
        Ok(found.map(|_| list.once.then(|| Code { list: list.name.clone(), mark })))
    }
}

/// What the code for a special price is called.
pub const SPECIAL: &str = "code for a special price";

/// How adding codes went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// New ones.
    pub new: usize,
    /// Those that were there already.
    pub known: usize,
}

/// Adds codes to a list, each line one.
///
/// # Errors
/// If a line is no code, naming it, or the store fails; nothing of the list was added in the first
/// case.
pub async fn add_codes(
    store: &dyn Store,
    key: &CodeKey,
    list: &str,
    text: &str,
) -> anyhow::Result<Added> {
    let mut marks = BTreeSet::new();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    // Old spreadsheets end lines with a carriage return alone.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let blank = |line: &str| line.trim_matches([' ', '\t', ';', ',']).is_empty();
    for (n, line) in text.split('\n').enumerate().filter(|(_, line)| !blank(line)) {
        let code = listed(line);
        let code = code.map_err(|why| anyhow::anyhow!("line {} is no code: {why}", n + 1))?;
        let Some(mark) = key.mark(list, code) else {
            anyhow::bail!("line {} is no code: 1 to {CODE_CHARS_MAX} characters", n + 1);
        };
        marks.insert(mark);
    }
    let known: BTreeSet<String> = codes_of(store, list).await?.into_iter().map(|d| d.id).collect();
    let new: Vec<&String> = marks.difference(&known).collect();
    for some in new.chunks(BATCH) {
        let docs = some.iter().map(|mark| DocChange {
            kind: KIND,
            id: (*mark).clone(),
            parent: list.to_owned(),
            expected: 0,
            body: Some(serde_json::Value::Null),
        });
        anyhow::ensure!(store.put_docs(docs.collect()).await?, "somebody else adds codes: again");
    }
    Ok(Added { new: new.len(), known: marks.len() - new.len() })
}

/// The codes of a list, by their marks.
///
/// # Errors
/// If the store fails.
pub async fn codes_of(store: &dyn Store, list: &str) -> Result<Vec<Doc>, StoreError> {
    store.docs(KIND, Some(list)).await
}

/// Lists that templates ask for a code of and that have none: nobody could answer.
///
/// # Errors
/// If the store fails. Where there is no store, every list is empty.
pub async fn empty_lists(
    store: Option<&dyn Store>,
    templates: &BTreeMap<String, Template>,
) -> Result<Vec<Finding>, StoreError> {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for template in templates.values() {
        for list in template.offers.lists() {
            let users = users.entry(&list.name).or_default();
            if !users.contains(&template.name.as_str()) {
                users.push(&template.name);
            }
        }
    }
    let mut found = Vec::new();
    for (list, users) in users {
        let is_empty = match store {
            Some(store) => codes_of(store, list).await?.is_empty(),
            None => true,
        };
        if is_empty {
            let says = format!(
                "no code is loaded, so nobody can give one for {}: livetill codes {list} add \
                 codes.txt",
                users.join(", ")
            );
            found.push(Finding::warning(format!("codes {list}"), says));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        provider::tests::service::{Answer, Service},
        sale::{
            offer::{Condition, Offers, Special},
            tests::play::{Play, template, usd},
        },
        store::{Access, SqlStore, open},
    };

    #[test]
    fn how_a_code_is_typed_does_not_matter() {
        let key = CodeKey::new(&[1; 32]);
        let mark = key.mark("vip", "ab-12 cd").expect("a code");
        assert_eq!(key.mark("vip", " AB12CD "), Some(mark.clone()));
        assert_ne!(key.mark("friends", "AB12CD"), Some(mark.clone()), "lists are apart");
        assert_ne!(CodeKey::new(&[2; 32]).mark("vip", "AB12CD"), Some(mark), "shops are apart");
        for same in ["ab–12 cd", "AB\u{2212}12CD", "\u{FEFF}ab12\u{200B}cd"] {
            assert_eq!(key.mark("vip", same), key.mark("vip", "ab12cd"), "{same}");
        }
        for bad in ["", " - ", "–", &"x".repeat(101), "a\u{7}"] {
            assert_eq!(key.mark("vip", bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_are_read_as_spreadsheets_write_them() {
        for (line, code) in [
            ("A-1", "A-1"),
            ("\"A-1\"", "A-1"),
            ("“A-1”", "A-1"),
            ("A-1;", "A-1"),
            ("A-1;;", "A-1"),
            (" 'A-1' ,", "A-1"),
            ("\tA 1\t", "A 1"),
        ] {
            assert_eq!(listed(line), Ok(code), "{line}");
        }
        for line in ["A-1;B-2", "A-1,ana@example.org", "\"A-1", "A\"1"] {
            assert!(listed(line).is_err(), "{line}");
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn list(name: &str, once: bool) -> CodeList {
        CodeList { name: name.into(), once }
    }

    /// A gate before a sale with a condition and two special prices, and codes in four lists.
    async fn gate() -> (Gate, SqlStore, View, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("x.db").display());
        let store = open(&url, Access::Write).await.expect("a store");
        // Installed by whichever test comes first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = CodeKey::new(&[1; 32]);
        for (list, code) in
            [("vip", "V1"), ("fans", "F1"), ("fans", "BOTH"), ("crew", "BOTH"), ("other", "O1")]
        {
            add_codes(&store, &key, list, code).await.expect("added");
        }
        let judge = Judge::List(list("vip", false));
        let special = |price, of| Special { price: usd(price), of: Whose::List(of) };
        let offers = Offers {
            condition: Some(Condition { label: "Code".into(), judge }),
            specials: vec![special("9", list("crew", true)), special("12", list("fans", true))],
            ..Offers::default()
        };
        let play = Play::new(Template { offers, ..template() });
        let gate = Gate::new(key, Secret::from("secret")).expect("a client");
        (gate, store, View::of(&play.sale, "LINK"), dir)
    }

    fn guest(buyer: &str) -> Guest<'_> {
        Guest { buyer, address: None }
    }

    #[tokio::test]
    async fn a_right_code_lays_down_what_it_gives_and_a_wrong_one_nothing() {
        let (gate, store, view, _dir) = gate().await;
        let admit = async |code, special| {
            let mut extras = Extras::default();
            let given = (guest("ana"), Given { code, special });
            let admitted = gate.admit(&store, &view, given, NOW, &mut extras).await;
            admitted.map(|()| extras)
        };
        let missing = Refusal::CodeMissing { label: "Code".into() };
        assert_eq!(admit(None, None).await, Err(missing));
        // Of another list, or of none.
        for wrong in ["F1", "O1", "X9"] {
            let no = Refusal::CodeWrong { label: "Code".into() };
            assert_eq!(admit(Some(wrong), None).await, Err(no), "{wrong}");
        }
        let plain = admit(Some("v-1"), None).await.expect("right");
        assert!(plain.admitted && plain.special.is_none());
        assert!(plain.codes.is_empty(), "it counts as often as it is given");
        for (code, key, lists) in
            [("F1", "code:fans", vec!["fans"]), ("BOTH", "code:crew", vec!["crew"])]
        {
            let extras = admit(Some("V1"), Some(code)).await.expect("right");
            assert_eq!(extras.special.as_deref(), Some(key), "the better price");
            let used: Vec<_> = extras.codes.iter().map(|code| code.list.as_str()).collect();
            assert_eq!(used, lists, "that one is used up by it");
        }
        let no = Refusal::CodeWrong { label: SPECIAL.to_owned() };
        assert_eq!(admit(Some("V1"), Some("V1")).await, Err(no));
    }

    #[tokio::test]
    async fn only_wrong_codes_are_counted() {
        let (gate, store, view, _dir) = gate().await;
        let admit = async |code| {
            let given = (guest("ana"), Given { code: Some(code), special: None });
            gate.admit(&store, &view, given, NOW, &mut Extras::default()).await
        };
        for _ in 0..20 {
            admit("V1").await.expect("right, however often");
        }
        for _ in 0..5 {
            assert!(matches!(admit("X").await, Err(Refusal::CodeWrong { .. })));
        }
        assert_eq!(admit("V1").await, Err(Refusal::CodeTries { after: TRIES_WITHIN }));
    }

    /// Judged by the shop's own server at `url`.
    async fn asking(url: String) -> (Gate, SqlStore, View, tempfile::TempDir) {
        let (gate, store, mut view, dir) = gate().await;
        let condition = Condition { label: "Code".into(), judge: Judge::Url { url } };
        view.offers.condition = Some(condition);
        (gate, store, view, dir)
    }

    #[tokio::test]
    async fn a_code_that_could_not_be_checked_is_no_wrong_one_and_what_is_no_code_is_not_asked_about()
     {
        let service =
            Service::plays([("POST /check", vec![Answer::Is(503, serde_json::Value::Null)])]).await;
        let (gate, store, view, _dir) = asking(format!("{}/check", service.url)).await;
        let admit = async |who, code: &str| {
            let given = (guest(who), Given { code: Some(code), special: None });
            gate.admit(&store, &view, given, NOW, &mut Extras::default()).await
        };
        for _ in 0..10 {
            let away = Refusal::CheckAway { label: "Code".into() };
            assert_eq!(admit("ana", "V1").await, Err(away));
        }
        assert_eq!(service.calls().len(), 10);
        for bad in ["x".repeat(101), "a\u{7}".to_owned(), String::new()] {
            assert!(matches!(admit("bo", &bad).await, Err(Refusal::CodeWrong { .. })), "{bad}");
        }
        assert_eq!(service.calls().len(), 10, "the shop hears of none of them");
    }

    #[tokio::test]
    async fn where_many_guessed_nobody_is_told_that_a_code_is_wrong_and_a_right_one_is_let_in() {
        let (mut gate, store, view, _dir) = gate().await;
        gate.guesses.slowly = std::time::Duration::from_millis(1);
        let admit = async |who: &str, code, special| {
            let guest = Guest { buyer: who, address: Some("net") };
            let given = (guest, Given { code: Some(code), special });
            gate.admit(&store, &view, given, NOW, &mut Extras::default()).await
        };
        // A wrong code for a special price is one as well.
        for n in 0..20 {
            let wrong = match n % 2 {
                0 => admit(&format!("b{n}"), "X", None).await,
                _ => admit(&format!("b{n}"), "V1", Some("X")).await,
            };
            assert!(matches!(wrong, Err(Refusal::CodeWrong { .. })), "{n}: {wrong:?}");
        }
        let many = Err(Refusal::CodeTries { after: TRIES_WITHIN });
        assert_eq!(admit("cy", "X", None).await, many);
        assert_eq!(admit("cy", "V1", Some("X")).await, many);
        assert_eq!(admit("dee", "V1", None).await, Ok(()));
        assert_eq!(admit("dee", "V1", Some("F1")).await, Ok(()));
    }
}
