//! Writes the content of a variant alone, straight to bytes: the topic beside it says which variant it is.

use bytes::Bytes;
use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, Impossible, SerializeMap, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleVariant,
    },
};
use serde_json::Error;

use super::{
    finite::{Finite, FiniteValue},
    none::is_none,
};

/// Bytes that most payloads fit in.
const USUAL_BYTES: usize = 128;

/// The payload of a message: its variant's content.
pub(super) fn content(message: &impl Serialize, omits_none: bool) -> Result<Bytes, Error> {
    let mut payload = Vec::with_capacity(USUAL_BYTES);
    message.serialize(Content {
        json: &mut serde_json::Serializer::new(&mut payload),
        omits_none,
    })?;
    Ok(payload.into())
}

type Json<'a, 'v> = &'a mut serde_json::Serializer<&'v mut Vec<u8>>;

/// Takes an enum as serde tags it and writes what is under the tag.
struct Content<'a, 'v> {
    json: Json<'a, 'v>,
    omits_none: bool,
}

/// An object whose fields may be left out.
struct Fields<T> {
    object: T,
    omits_none: bool,
}

/// The elements of an array.
struct Elements<T>(T);

macro_rules! no_variant {
    ($($method:ident($($argument:ty),*) -> $ok:ty),* $(,)?) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, Error> {
            Err(no_variant())
        })*
    };
}

impl<'a, 'v> Serializer for Content<'a, 'v> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Elements<<Json<'a, 'v> as Serializer>::SerializeTuple>;
    type SerializeMap = Fields<<Json<'a, 'v> as Serializer>::SerializeMap>;
    type SerializeStruct = Impossible<(), Error>;
    type SerializeStructVariant = Fields<<Json<'a, 'v> as Serializer>::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
    ) -> Result<(), Error> {
        self.json.serialize_unit()
    }

    /// One unnamed field; or named ones of which some are flattened, which serde gives as one map.
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if self.omits_none {
            return value.serialize(self);
        }
        value.serialize(Finite(self.json))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Ok(Elements(self.json.serialize_tuple(len)?))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Ok(Fields {
            object: self.json.serialize_struct(variant, len)?,
            omits_none: self.omits_none,
        })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Ok(Fields {
            object: self.json.serialize_map(len)?,
            omits_none: self.omits_none,
        })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<(), Error> {
        Err(no_variant())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _value: &T,
    ) -> Result<(), Error> {
        Err(no_variant())
    }

    no_variant! {
        serialize_bool(bool) -> (),
        serialize_i8(i8) -> (),
        serialize_i16(i16) -> (),
        serialize_i32(i32) -> (),
        serialize_i64(i64) -> (),
        serialize_u8(u8) -> (),
        serialize_u16(u16) -> (),
        serialize_u32(u32) -> (),
        serialize_u64(u64) -> (),
        serialize_f32(f32) -> (),
        serialize_f64(f64) -> (),
        serialize_char(char) -> (),
        serialize_str(&str) -> (),
        serialize_bytes(&[u8]) -> (),
        serialize_none() -> (),
        serialize_unit() -> (),
        serialize_unit_struct(&'static str) -> (),
        serialize_seq(Option<usize>) -> Self::SerializeSeq,
        serialize_tuple(usize) -> Self::SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
        serialize_struct(&'static str, usize) -> Self::SerializeStruct,
    }
}

fn no_variant() -> Error {
    Error::custom("the channel's `Serialize` is not that of an enum; derive it")
}

impl<T: SerializeTuple<Ok = (), Error = Error>> SerializeTupleVariant for Elements<T> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Error> {
        self.0.serialize_element(&FiniteValue(value))
    }

    fn end(self) -> Result<(), Error> {
        self.0.end()
    }
}

impl<T> Fields<T> {
    fn omits(&self, value: &(impl Serialize + ?Sized)) -> bool {
        self.omits_none && is_none(value)
    }
}

impl<T: SerializeStruct<Ok = (), Error = Error>> SerializeStructVariant for Fields<T> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<V: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &V,
    ) -> Result<(), Error> {
        if self.omits(value) {
            return Ok(());
        }
        self.object
            .serialize_field(key, &FiniteValue(value))
            .map_err(|error| Error::custom(format_args!("field `{key}`: {error}")))
    }

    fn end(self) -> Result<(), Error> {
        self.object.end()
    }
}

impl<T: SerializeMap<Ok = (), Error = Error>> SerializeMap for Fields<T> {
    type Ok = ();
    type Error = Error;

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), Error> {
        if self.omits(value) {
            return Ok(());
        }
        self.object.serialize_entry(key, &FiniteValue(value))
    }

    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), Error> {
        self.object.serialize_key(key)
    }

    fn serialize_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Error> {
        self.object.serialize_value(&FiniteValue(value))
    }

    fn end(self) -> Result<(), Error> {
        self.object.end()
    }
}
