//! Tells whether a value is `None`, which only its `Serialize` knows: in JSON it is `null`, as `()` and
//! `serde_json::Value::Null` are.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{Error as _, Impossible},
};

/// Whether a value is `None`. It is asked for its kind and not walked.
pub(super) fn is_none(value: &(impl Serialize + ?Sized)) -> bool {
    value.serialize(Probe).unwrap_or(false)
}

/// Answers whether `serialize_none` was called; what has parts is an error, as it is something else and need not be read.
struct Probe;

macro_rules! not_none {
    ($($method:ident($($argument:ty),*)),* $(,)?) => {
        $(fn $method(self, $(_: $argument),*) -> Result<bool, fmt::Error> {
            Ok(false)
        })*
    };
}

macro_rules! has_parts {
    ($($method:ident($($argument:ty),*) -> $parts:ident),* $(,)?) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Self::$parts, fmt::Error> {
            Err(fmt::Error::custom("not none"))
        })*
    };
}

impl Serializer for Probe {
    type Ok = bool;
    type Error = fmt::Error;
    type SerializeSeq = Impossible<bool, fmt::Error>;
    type SerializeTuple = Impossible<bool, fmt::Error>;
    type SerializeTupleStruct = Impossible<bool, fmt::Error>;
    type SerializeTupleVariant = Impossible<bool, fmt::Error>;
    type SerializeMap = Impossible<bool, fmt::Error>;
    type SerializeStruct = Impossible<bool, fmt::Error>;
    type SerializeStructVariant = Impossible<bool, fmt::Error>;

    fn serialize_none(self) -> Result<bool, fmt::Error> {
        Ok(true)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<bool, fmt::Error> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _value: &T,
    ) -> Result<bool, fmt::Error> {
        Ok(false)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<bool, fmt::Error> {
        Ok(false)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _value: &T) -> Result<bool, fmt::Error> {
        Ok(false)
    }

    not_none! {
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit(),
        serialize_unit_struct(&'static str),
        serialize_unit_variant(&'static str, u32, &'static str),
    }

    has_parts! {
        serialize_seq(Option<usize>) -> SerializeSeq,
        serialize_tuple(usize) -> SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant,
        serialize_map(Option<usize>) -> SerializeMap,
        serialize_struct(&'static str, usize) -> SerializeStruct,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_none_is_none() {
        assert!(is_none(&None::<u8>));
        assert!(is_none(&Box::new(None::<u8>)));
        assert!(!is_none(&Some(())));
        assert!(!is_none(&Some(None::<u8>)));
        assert!(!is_none(&()));
        assert!(!is_none(&serde_json::Value::Null));
        assert!(!is_none(&vec![None::<u8>]));
        assert!(!is_none("none"));
    }
}
