//! Reads a variant from its content alone: the topic says which variant it is.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Error, de::SliceRead};

/// The message whose variant is `variant` and whose content is `payload`.
pub(super) fn content<C: DeserializeOwned>(
    variant: &'static str,
    payload: &[u8],
) -> Result<C, Error> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let message = C::deserialize(Content {
        variant,
        json: &mut json,
    })?;
    json.end()?;
    Ok(message)
}

/// An enum of which only the content is written.
struct Content<'a, 'de> {
    variant: &'static str,
    json: &'a mut serde_json::Deserializer<SliceRead<'de>>,
}

impl<'de> Deserializer<'de> for Content<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Content<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        <()>::deserialize(self.json)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.json)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.json.deserialize_tuple(len, visitor)
    }

    /// As a map: what serde_json reads as a struct may also be an array, which is no payload of such a topic.
    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.json.deserialize_map(visitor)
    }
}
