//! Whether a page can be paid: Square's own stock agrees, and the page answers like one that
//! sells.
//!
//! What a page shows only after its scripts ran cannot be seen from here.

use reqwest::{StatusCode, Url, header::LOCATION};
use serde_json::Value;

use super::{Square, error::Fault, item};
use crate::{clock::Span, provider::ProviderError, sale::event::Verdict};

/// Square's hosts for buyers: short links, checkout pages, the sandbox's testing panel.
pub(super) const HOSTS: [&str; 4] =
    ["square.link", "square.site", "squareup.com", "squareupsandbox.com"];

/// Redirects followed; a short link takes one or two.
const HOPS_MAX: usize = 6;

/// As much of a page is read.
const PAGE_MAX: usize = 1 << 20;

/// When to look again.
const AGAIN: Span = Span::from_millis(1000);

impl Square {
    pub(super) async fn probe(&self, body: &Value) -> Result<Verdict, ProviderError> {
        let url = body["url"].as_str().unwrap_or_default();
        // Side by side: the opening of a sale waits for the slower of them, not for all in turn.
        let (stock, page) = tokio::join!(self.out_of_stock(body), self.look_at(url));
        Ok(match stock?.or(page.err()) {
            Some(says) => not_yet(says),
            None => Verdict::Payable,
        })
    }

    /// Whether Square's catalog or inventory says that there is nothing to sell. Once both agreed
    /// after the stocking they are not asked again for every page.
    async fn out_of_stock(&self, body: &Value) -> Result<Option<String>, ProviderError> {
        let Some(variation) = body["variation"].as_str() else { return Ok(None) };
        if self.seen().in_stock.contains(variation) {
            return Ok(None);
        }
        let asked = tokio::try_join!(self.object(variation), self.stock(variation));
        let (object, stock) = asked.map_err(Fault::hasty)?;
        if item::sold_out(&object, &self.location) {
            return Ok(Some("Square still shows the item as sold out".to_owned()));
        }
        let count = stock.map_or(0, |stock| stock.count);
        let wanted = body["count"].as_i64();
        if count <= 0 || wanted.is_some_and(|wanted| count != wanted) {
            let wanted = wanted.map_or_else(|| "some".to_owned(), |wanted| wanted.to_string());
            return Ok(Some(format!("Square counts {count} in stock where {wanted} should be")));
        }
        self.seen().in_stock.insert(variation.to_owned());
        Ok(None)
    }

    /// Fetches a page as a buyer's browser would, over Square's hosts only.
    async fn look_at(&self, url: &str) -> Result<(), String> {
        let mut url = Url::parse(url).map_err(|_| "the page has no address".to_owned())?;
        for _ in 0..HOPS_MAX {
            if !self.is_allowed(&url) {
                let host = url.host_str().unwrap_or("nowhere");
                return Err(format!("the page leads to {host}, which is not Square's"));
            }
            let answer = self.client.http().get(url.clone()).send().await;
            let mut answer = answer.map_err(|_| "the page does not answer".to_owned())?;
            if answer.status().is_redirection() {
                let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                let to = to.and_then(|to| url.join(to).ok());
                url = to.ok_or_else(|| "the page leads nowhere".to_owned())?;
                continue;
            }
            if answer.status() != StatusCode::OK {
                return Err(format!("the page answers {}", answer.status().as_u16()));
            }
            let mut page = Vec::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                page.extend_from_slice(&chunk);
                if page.len() > PAGE_MAX {
                    break;
                }
            }
            let shown = shown(&String::from_utf8_lossy(&page));
            return match self.reject.iter().find(|phrase| shown.contains(phrase.as_str())) {
                Some(phrase) => Err(format!("the page says \"{phrase}\"")),
                None => Ok(()),
            };
        }
        Err("the page leads in circles".to_owned())
    }

    fn is_allowed(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let square = url.scheme() == "https"
            && HOSTS.iter().any(|own| {
                host.strip_suffix(own).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
            });
        let stand_in = self.stand_in.as_ref().and_then(Url::host_str);
        square || stand_in == Some(host)
    }
}

fn not_yet(says: String) -> Verdict {
    Verdict::NotYet { says, again_after: AGAIN }
}

/// The page in lower case without its scripts and styles, which hold words that nobody is shown.
fn shown(page: &str) -> String {
    let mut text = page.to_lowercase();
    for tag in ["script", "style"] {
        let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
        while let Some(from) = text.find(&open) {
            let to = text[from..].find(&close).map_or(text.len(), |to| from + to + close.len());
            text.replace_range(from..to, " ");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_not_what_is_shown() {
        let page = "<p>Pay</p><SCRIPT>if (n == 0) 'Sold Out'</script><style>.sold out{}</style>";
        assert_eq!(shown(page), "<p>pay</p>  ");
        assert!(shown("<b>Sold Out</b><script>").contains("sold out"));
    }
}
