//! A table in which some keys are the payment services' own: they are kept as they stand, for the
//! services to read; all others are read by the table's type.

use std::{collections::BTreeMap, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer, MapAccess, Visitor,
        value::{MapAccessDeserializer, StringDeserializer},
    },
};

/// Options by the name of the service they are for.
pub(super) type Own = BTreeMap<String, serde_json::Value>;

/// Reads a table; what stands under one of `names` is apart from the rest.
///
/// # Errors
/// Those of the table's type.
pub(super) fn split<'de, T, D>(
    deserializer: D,
    names: &'static [&'static str],
) -> Result<(T, Own), D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Table { names, rest: PhantomData })
}

struct Table<T> {
    names: &'static [&'static str],
    rest: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
    type Value = (T, Own);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<Self::Value, A::Error> {
        let mut own = Own::new();
        let rest = Rest { inner, names: self.names, own: &mut own };
        let rest = T::deserialize(MapAccessDeserializer::new(rest))?;
        Ok((rest, own))
    }
}

/// What is not the services' own.
struct Rest<'a, A> {
    inner: A,
    names: &'static [&'static str],
    own: &'a mut Own,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.inner.next_key::<String>()? {
            if !self.names.contains(&key.as_str()) {
                let key: StringDeserializer<A::Error> = key.into_deserializer();
                return seed.deserialize(key).map(Some);
            }
            self.own.insert(key, self.inner.next_value()?);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}
