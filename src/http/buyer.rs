//! Who a browser is: a signed cookie, and unguessable links to a buyer's own page.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{
    clock::Timestamp,
    id::{Buyer, Entropy, HoldId, SaleId},
    mac::{derive, is_mark, mark},
    provider::ReturnPages,
};

const COOKIE: &str = "livetill";

/// A buyer is remembered this long: long enough to come back for what they bought.
const COOKIE_SECS: u32 = 30 * 24 * 3600;

/// Keys made from the shop's secret, one per purpose.
#[derive(Clone)]
pub struct Keys {
    cookie: Vec<u8>,
    form: Vec<u8>,
    token: Vec<u8>,
    pub(super) address: Vec<u8>,
    pub(super) desk: Vec<u8>,
}

impl Keys {
    /// All keys of a shop.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            cookie: derive(secret, "buyer cookie"),
            form: derive(secret, "claim form"),
            token: derive(secret, "hold token"),
            address: derive(secret, "address mark"),
            desk: derive(secret, "desk login"),
        }
    }

    /// The last part of a hold's own address.
    pub fn token(&self, hold: HoldId) -> String {
        let id = hold.to_string();
        format!("{id}-{}", mark(&self.token, &id))
    }

    /// The hold that a token names, if we made it.
    pub fn hold(&self, token: &str) -> Option<HoldId> {
        let (id, given) = token.rsplit_once('-')?;
        is_mark(&self.token, id, given).then(|| id.parse().ok())?
    }

    /// The browser's buyer, if its cookie is ours.
    pub fn buyer(&self, headers: &HeaderMap) -> Option<Buyer> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == COOKIE)
            .filter_map(|(_, value)| value.split_once('.'))
            .find(|(id, given)| is_mark(&self.cookie, id, given))
            .map(|(id, _)| Buyer::from(format!("web:{id}")))
    }

    /// A new buyer and the cookie for it.
    pub fn new_buyer(
        &self,
        entropy: &dyn Entropy,
        now: Timestamp,
        secure: bool,
    ) -> (Buyer, HeaderValue) {
        // In order of time, so that an index of buyers grows at its end; the rest is random.
        let id = uuid::Builder::from_unix_timestamp_millis(
            u64::try_from(now.millis()).unwrap_or_default(),
            entropy.bytes().first_chunk().expect("16 bytes hold 10"),
        );
        let buyer = Buyer::from(format!("web:{}", id.into_uuid().simple()));
        let cookie = self.cookie(&buyer, secure);
        (buyer, cookie)
    }

    /// What a browser is given to remember that it is this buyer.
    pub(super) fn cookie(&self, buyer: &Buyer, secure: bool) -> HeaderValue {
        let id = web_id(buyer);
        let secure = if secure { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE}={id}.{}; Path=/; Max-Age={COOKIE_SECS}; HttpOnly; SameSite=Lax{secure}",
            mark(&self.cookie, id)
        );
        HeaderValue::from_str(&cookie).expect("hex digits and plain words")
    }

    /// What goes into a form: for whom it was shown, and the how-manieth showing it is.
    pub(super) fn form_key(&self, buyer: &Buyer, nth: u32) -> String {
        let text = format!("{}-{nth:08x}", web_id(buyer));
        let mark = mark(&self.form, &text);
        text + "-" + &mark
    }

    /// Reads a form's key; whether it is ours is [`Keys::is_ours`].
    pub(super) fn form<'a>(&self, key: &'a str) -> Option<FormKey<'a>> {
        let (text, mark) = key.rsplit_once('-')?;
        let (id, nth) = text.split_once('-')?;
        let nth = u32::from_str_radix(nth, 16).ok()?;
        Some(FormKey { text, id, nth, mark })
    }

    /// Whether we made a form's key.
    pub(super) fn is_ours(&self, key: &FormKey<'_>) -> bool {
        is_mark(&self.form, key.text, key.mark)
    }
}

/// A form's key, taken apart.
pub(super) struct FormKey<'a> {
    text: &'a str,
    id: &'a str,
    mark: &'a str,
    /// Which showing of the form.
    pub(super) nth: u32,
}

impl FormKey<'_> {
    /// For whom it was shown.
    pub(super) fn buyer(&self) -> Buyer {
        Buyer::from(format!("web:{}", self.id))
    }
}

/// What a buyer who came by the web is called in cookies and forms.
fn web_id(buyer: &Buyer) -> &str {
    buyer.as_str().trim_start_matches("web:")
}

/// Where buyers return to, as seen from outside.
pub struct Addresses {
    /// What browsers call us.
    pub base_url: String,
    /// Keys for the tokens.
    pub keys: Keys,
}

impl ReturnPages for Addresses {
    fn hold_page(&self, hold: HoldId) -> String {
        format!("{}/holds/{}?back=1", self.base_url, self.keys.token(hold))
    }

    fn sale_page(&self, sale: SaleId) -> String {
        format!("{}/sales/{sale}", self.base_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeros;
    impl Entropy for Zeros {
        fn bytes(&self) -> [u8; 16] {
            [0; 16]
        }
    }

    #[test]
    fn only_our_own_tokens_and_cookies_count() {
        let keys = Keys::new(&[1; 32]);
        let others = Keys::new(&[2; 32]);
        let hold = HoldId { sale: SaleId::new(Timestamp::from_millis(5), [3; 16]), n: 4 };
        let token = keys.token(hold);
        assert_eq!(keys.hold(&token), Some(hold));
        assert_eq!(others.hold(&token), None);
        let other_hold = token.replacen("-4-", "-5-", 1);
        assert_eq!(keys.hold(&other_hold), None);
        assert_eq!(keys.hold(""), None);

        let (buyer, cookie) = keys.new_buyer(&Zeros, Timestamp::from_millis(5), true);
        let set = cookie.to_str().expect("text");
        assert!(set.contains("HttpOnly") && set.contains("Secure") && set.contains("SameSite=Lax"));
        let pair = set.split(';').next().expect("a pair");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {pair}").parse().expect("a value"));
        assert_eq!(keys.buyer(&headers), Some(buyer));
        assert_eq!(others.buyer(&headers), None);
    }

    #[test]
    fn only_our_own_forms_say_who_sends_them() {
        let (keys, others) = (Keys::new(&[1; 32]), Keys::new(&[2; 32]));
        let (buyer, _) = keys.new_buyer(&Zeros, Timestamp::from_millis(5), false);
        let key = keys.form_key(&buyer, 0x1234_abcd);
        let form = keys.form(&key).expect("a key");
        assert_eq!((form.buyer(), form.nth), (buyer, 0x1234_abcd));
        assert!(keys.is_ours(&form) && !others.is_ours(&form));
        let other = key.replacen("1234abcd", "1234abce", 1);
        assert!(!keys.is_ours(&keys.form(&other).expect("a key")), "one showing, one key");
        for bad in ["", "-", "--", "a-b-c", "a-1", &key[1..40]] {
            assert!(!keys.form(bad).is_some_and(|form| keys.is_ours(&form)), "{bad}");
        }
    }
}
