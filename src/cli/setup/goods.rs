//! What is sold first.

use anyhow::Result;
use toml_edit::{Array, InlineTable, Value};

use super::{
    draft::Draft,
    prompt::{Prompt, yes_or_no},
};
use crate::{
    clock::{Span, SpanError},
    config::Config,
};

/// Asks for the first template: what it is, what it costs, how many, how long, how it is had.
pub(super) fn ask(prompt: &Prompt, draft: &mut Draft) -> Result<()> {
    let words = "Short name of your first item, as typed in chat: !sale start mug";
    prompt.ask(draft, words, "mug", |draft, name| {
        if name.contains('.') {
            return Err("letters, digits, - and _".to_owned());
        }
        draft.rename_template(name);
        Ok(())
    })?;
    let title = if draft.template() == "mug" { "Fern Mug" } else { "" };
    prompt.ask(draft, "Its title", title, |draft, text| {
        draft.set_template("title", text);
        if text != title {
            draft.set_template("description", "");
        }
        Ok(())
    })?;
    prompt.ask(draft, "Currency", "USD", |draft, code| {
        draft.set_template("currency", code.to_ascii_uppercase());
        // What the shipped template says in dollars and cents.
        draft.set_template("price", "1");
        draft.set_template("delivery", Array::new());
        draft.leave_out("min_price");
        draft.leave_out("max_price");
        Ok(())
    })?;
    prompt.ask(draft, "Price of one", "", |draft, price| {
        if price.is_empty() {
            return Err("write the amount, like 18 or 18.50".to_owned());
        }
        draft.set_template("price", price);
        Ok(())
    })?;
    prompt.ask(draft, "How many you have", "20", |draft, units| {
        let units: u32 = units.parse().map_err(|_| format!("not a number of units: {units}"))?;
        draft.set_template("stock", i64::from(units));
        draft.set_template("max_stock", i64::from(units.max(100)));
        Ok(())
    })?;
    prompt.ask(draft, "How long a sale lasts", "10m", |draft, text| {
        let span: Span = text.parse().map_err(|error: SpanError| error.to_string())?;
        let hold = Span::from_mins(3).min((span + Span::from_mins(2)).minus(Span::from_secs(1)));
        draft.set_template("duration", text);
        draft.set_template("hold", hold.to_string());
        draft.set_template("max_duration", Span::from_mins(60).max(span).to_string());
        Ok(())
    })?;
    delivery(prompt, draft)
}

/// Asks how the goods reach the buyer, where the provider has goods to send.
fn delivery(prompt: &Prompt, draft: &mut Draft) -> Result<()> {
    let config = draft.check().map_err(anyhow::Error::msg)?.config;
    let able = provider_of(&config).and_then(|name| config.providers.capabilities(name));
    if able.is_some_and(|able| !able.physical) {
        return Ok(());
    }
    let mut ways: Vec<Value> = Vec::new();
    let words = "Shipping fee, like 6.00; Enter if nothing is sent";
    prompt.ask(draft, words, "", |draft, fee| {
        let ways = Array::from_iter((!fee.is_empty()).then(|| ship(fee)));
        draft.set_template("delivery", ways);
        Ok(())
    })?;
    let shipped = draft.check().map_err(anyhow::Error::msg)?.templates;
    let fee = shipped.get(draft.template()).and_then(|one| one.delivery.first()).map(|way| way.fee);
    ways.extend(fee.map(|fee| ship(&fee.decimal())));
    prompt.ask(draft, "Offer local pickup (yes, no)", "no", |draft, answer| {
        let pickup = yes_or_no(answer)?.then(pickup);
        draft.set_template("delivery", Array::from_iter(ways.iter().cloned().chain(pickup)));
        Ok(())
    })
}

fn provider_of(config: &Config) -> Option<&str> {
    config.templates.values().next().map(|template| template.provider_name())
}

fn ship(fee: &str) -> Value {
    let mut way = InlineTable::new();
    way.insert("name", "ship".into());
    way.insert("label", "Ship to me".into());
    way.insert("fee", fee.into());
    way.insert("ask_address", true.into());
    way.into()
}

fn pickup() -> Value {
    let mut way = InlineTable::new();
    way.insert("name", "pickup".into());
    way.insert("label", "Local pickup".into());
    way.insert("fee", "0".into());
    way.into()
}
