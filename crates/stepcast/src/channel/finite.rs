//! Refuses NaN and infinity, which serde_json writes as `null` without a word. Everything else goes through as it is.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// A serializer that takes finite numbers only, at any depth.
pub(super) struct Finite<S>(pub(super) S);

/// A value that is serialized with [`Finite`].
pub(super) struct FiniteValue<'a, T: ?Sized>(pub(super) &'a T);

/// Parts of a value, each serialized with [`Finite`].
pub(super) struct FiniteParts<P>(P);

impl<T: Serialize + ?Sized> Serialize for FiniteValue<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Finite(serializer))
    }
}

fn check<E: serde::ser::Error>(number: f64) -> Result<(), E> {
    if number.is_finite() {
        return Ok(());
    }
    Err(E::custom(format_args!("{number} is not a JSON number")))
}

macro_rules! pass {
    ($($method:ident($($name:ident: $argument:ty),*)),* $(,)?) => {
        $(fn $method(self, $($name: $argument),*) -> Result<S::Ok, S::Error> {
            self.0.$method($($name),*)
        })*
    };
}

macro_rules! pass_parts {
    ($($method:ident($($name:ident: $argument:ty),*) -> $parts:ident),* $(,)?) => {
        $(fn $method(self, $($name: $argument),*) -> Result<Self::$parts, S::Error> {
            self.0.$method($($name),*).map(FiniteParts)
        })*
    };
}

impl<S: Serializer> Serializer for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = FiniteParts<S::SerializeSeq>;
    type SerializeTuple = FiniteParts<S::SerializeTuple>;
    type SerializeTupleStruct = FiniteParts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = FiniteParts<S::SerializeTupleVariant>;
    type SerializeMap = FiniteParts<S::SerializeMap>;
    type SerializeStruct = FiniteParts<S::SerializeStruct>;
    type SerializeStructVariant = FiniteParts<S::SerializeStructVariant>;

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        check(value.into())?;
        self.0.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        check(value)?;
        self.0.serialize_f64(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&FiniteValue(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &FiniteValue(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0
            .serialize_newtype_variant(name, index, variant, &FiniteValue(value))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    pass! {
        serialize_bool(value: bool),
        serialize_i8(value: i8),
        serialize_i16(value: i16),
        serialize_i32(value: i32),
        serialize_i64(value: i64),
        serialize_i128(value: i128),
        serialize_u8(value: u8),
        serialize_u16(value: u16),
        serialize_u32(value: u32),
        serialize_u64(value: u64),
        serialize_u128(value: u128),
        serialize_char(value: char),
        serialize_str(value: &str),
        serialize_bytes(value: &[u8]),
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(name: &'static str),
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str),
    }

    pass_parts! {
        serialize_seq(len: Option<usize>) -> SerializeSeq,
        serialize_tuple(len: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct,
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeTupleVariant,
        serialize_map(len: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct,
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeStructVariant,
    }
}

macro_rules! parts {
    ($($of:ident { $method:ident($($key:ident: $text:ty)?) $($skip:ident)? })*) => {
        $(impl<P: $of> $of for FiniteParts<P> {
            type Ok = P::Ok;
            type Error = P::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $text,)? value: &T) -> Result<(), P::Error> {
                self.0.$method($($key,)? &FiniteValue(value))
            }

            $(fn $skip(&mut self, key: &'static str) -> Result<(), P::Error> {
                self.0.$skip(key)
            })?

            fn end(self) -> Result<P::Ok, P::Error> {
                self.0.end()
            }
        })*
    };
}

parts! {
    SerializeSeq { serialize_element() }
    SerializeTuple { serialize_element() }
    SerializeTupleStruct { serialize_field() }
    SerializeTupleVariant { serialize_field() }
    SerializeStruct { serialize_field(key: &'static str) skip_field }
    SerializeStructVariant { serialize_field(key: &'static str) skip_field }
}

impl<P: SerializeMap> SerializeMap for FiniteParts<P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), P::Error> {
        self.0.serialize_key(&FiniteValue(key))
    }

    fn serialize_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), P::Error> {
        self.0.serialize_value(&FiniteValue(value))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), P::Error> {
        self.0
            .serialize_entry(&FiniteValue(key), &FiniteValue(value))
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        self.0.end()
    }
}
