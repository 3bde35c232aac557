//! Types as TypeScript has them.

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Unknown,
    Never,
    Null,
    Boolean,
    Number,
    String,
    /// As it is written: `"a"`, `1`, `true`.
    Literal(String),
    Array(Box<Type>),
    Tuple(Vec<Type>),
    Record(Box<Type>),
    Object(Vec<Field>),
    Named(String),
    Union(Vec<Member>),
    Intersection(Vec<Type>),
}

/// A property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) is_optional: bool,
    pub(super) value: Type,
}

/// One of the types of a union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) doc: String,
    pub(super) value: Type,
}

impl Type {
    /// Either of these; unions within are taken apart, and what comes twice comes once.
    pub(super) fn union(all: impl IntoIterator<Item = Member>) -> Self {
        let mut members = Vec::<Member>::new();
        for member in all {
            let parts = match member {
                Member {
                    value: Self::Union(parts),
                    ..
                } => parts,
                single => vec![single],
            };
            for part in parts {
                if members.iter().all(|known| known.value != part.value) {
                    members.push(part);
                }
            }
        }
        if members.iter().any(|member| member.value == Self::Unknown) {
            return Self::Unknown;
        }
        match members.len() {
            0 => Self::Never,
            1 => members.remove(0).value,
            _ => Self::Union(members),
        }
    }

    /// All of these at once.
    pub(super) fn intersection(mut all: Vec<Self>) -> Self {
        match all.len() {
            0 => Self::Unknown,
            1 => all.remove(0),
            _ => Self::Intersection(all),
        }
    }
}

impl From<Type> for Member {
    fn from(value: Type) -> Self {
        Self {
            doc: String::new(),
            value,
        }
    }
}
