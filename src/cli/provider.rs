//! Verbs that ask the payment services themselves.

use anyhow::{Result, bail};
use serde_json::json;

use super::Ended;
use crate::{
    app::remote_providers,
    clock::{Clock, SystemClock},
    config::{Config, Finding, Loaded},
    provider::{Call, signature::short_hash},
    sale::template::Template,
    store::{self, Access, OpenError, Store},
};

/// What browsers call the listener, as far as the configuration says.
fn base_url(config: &Config) -> String {
    if config.shop.public_url.is_empty() {
        return format!("http://{}", config.http.listen);
    }
    config.shop.public_url.clone()
}

/// Every provider's findings; a line for those with none.
pub(super) async fn findings(loaded: &Loaded, mend: bool) -> Result<Vec<(String, bool, String)>> {
    let mut all = Vec::new();
    for provider in remote_providers(&loaded.config, &base_url(&loaded.config))? {
        let own = |template: &&Template| template.provider == provider.name();
        let templates: Vec<&Template> = loaded.templates.values().filter(own).collect();
        let found = provider.check(&templates, mend).await;
        if found.is_empty() {
            let key = format!("providers.{}", provider.name());
            all.push((key, true, "answers, and has what the templates need".to_owned()));
        }
        all.extend(found.into_iter().map(|Finding { key, says, warning }| (key, warning, says)));
    }
    Ok(all)
}

/// `audit`: what the bot ever made and left at a provider; with `retire`, removes it.
pub(super) async fn audit(loaded: &Loaded, retire: bool) -> Result<Ended> {
    let live = match store::open(&loaded.config.store.url, Access::Read).await {
        Ok(store) => store.live_sales().await?,
        Err(OpenError::Missing(_)) => Vec::new(),
        Err(error) => bail!(error),
    };
    let (mut left, mut failed) = (0, false);
    for provider in remote_providers(&loaded.config, &base_url(&loaded.config))? {
        let found = match provider.left_behind().await {
            Ok(found) => found,
            Err(error) => {
                eprintln!("livetill: {}: {error}", provider.name());
                failed = true;
                continue;
            }
        };
        for one in found {
            let name = format!("{} {} at {}", one.kind, one.id, provider.name());
            if one.sale.is_some_and(|sale| live.contains(&sale)) {
                println!("in use   {name}");
                continue;
            }
            if !retire {
                left += 1;
                println!("left     {name}");
                continue;
            }
            let now = SystemClock.now();
            let key = short_hash(&json!([one.id, now]).to_string());
            let call = Call { key, now, first: true };
            match provider.remove(&one, &call).await {
                Ok(()) => println!("removed  {name}"),
                Err(error) => {
                    left += 1;
                    println!("left     {name}: {error}");
                }
            }
        }
    }
    match left {
        0 if !failed => println!("Nothing is left behind."),
        0 => {}
        n if retire => println!("{n} could not be removed."),
        n => println!("{n} left behind. Remove with: livetill audit --retire"),
    }
    Ok(if left == 0 && !failed { Ended::Well } else { Ended::Failed })
}
