//! Asks what a payment service needs to begin with: the service says what.

use anyhow::Result;
use toml_edit::Array;

use super::{choose, draft::Draft, prompt::Prompt};
use crate::{
    config::Providers,
    provider::spec::{Answer, ProviderSpec, Question},
};

/// Asks what the service of that name needs, and has the template use it.
pub(super) fn ask(prompt: &Prompt, draft: &mut Draft, name: &str) -> Result<()> {
    let known = Providers::default();
    let Some(service) = known.of(name) else { return Ok(()) };
    if !service.questions().iter().any(|question| question.completes) {
        use_it(draft, service);
    }
    service.questions().iter().try_for_each(|question| put(prompt, draft, service, question))
}

fn put(
    prompt: &Prompt,
    draft: &mut Draft,
    service: &dyn ProviderSpec,
    question: &Question,
) -> Result<()> {
    let Question { words, answer, completes } = *question;
    let table = format!("providers.{}", service.name());
    let used = |draft: &mut Draft| {
        if completes {
            use_it(draft, service);
        }
    };
    let whole = |text: &str| text.parse::<i64>().map_err(|_| "write a number".to_owned());
    match answer {
        Answer::OneOf(key, all) => {
            let known: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
            choose(prompt, draft, words, &known, known[0], |draft, chosen| {
                let value = all.iter().find(|(word, _)| *word == chosen);
                draft.set(&format!("{table}.{key}"), value.map_or(chosen, |(_, value)| *value));
                used(draft);
            })
        }
        Answer::Text(key) => prompt.ask(draft, words, "", |draft, text| {
            draft.set(&format!("{table}.{key}"), text);
            used(draft);
            Ok(())
        }),
        Answer::Number(key, default) => {
            prompt.ask(draft, words, &default.to_string(), |draft, text| {
                draft.set(&format!("{table}.{key}"), whole(text)?);
                used(draft);
                Ok(())
            })
        }
        Answer::Option(key) => prompt.ask(draft, words, "", |draft, text| {
            let number = whole(text)?;
            used(draft);
            draft.set_provider_option(service.name(), key, number);
            Ok(())
        }),
        Answer::Secret(key, required) => {
            let variable = format!("LIVETILL_{}__{key}", table.replace('.', "__")).to_uppercase();
            prompt.ask_secret(draft, words, &variable, required, |draft| {
                used(draft);
                Ok(())
            })
        }
    }
}

/// Has the template use the service.
fn use_it(draft: &mut Draft, service: &dyn ProviderSpec) {
    if !service.capabilities().physical {
        draft.set_template("delivery", Array::new());
    }
    draft.set_template("provider", service.name());
}
