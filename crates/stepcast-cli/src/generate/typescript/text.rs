//! How types and comments are written.

use std::fmt::Write;

use super::{
    names::is_identifier,
    types::{Field, Member, Type},
};

const STEP: &str = "  ";

/// A declaration of a type.
pub(super) fn declaration(name: &str, doc: &str, value: &Type) -> String {
    let mut text = comment(doc, "");
    match value {
        Type::Object(fields) => {
            write!(text, "export interface {name} {}", block(fields, ""))
                .expect("a string takes everything");
            text.push('\n');
        }
        Type::Union(members) if members.iter().any(|member| !member.doc.is_empty()) => {
            write!(text, "export type {name} =").expect("a string takes everything");
            for Member { doc, value } in members {
                let value = nested(value, STEP);
                let comment = comment(doc, STEP);
                write!(text, "\n{comment}{STEP}| {value}").expect("a string takes everything");
            }
            text.push_str(";\n");
        }
        other => {
            let value = written(other, "");
            writeln!(text, "export type {name} = {value};").expect("a string takes everything");
        }
    }
    text
}

/// A type where it is used. `indent` is that of the line.
pub(super) fn written(value: &Type, indent: &str) -> String {
    match value {
        Type::Unknown => "unknown".to_owned(),
        Type::Never => "never".to_owned(),
        Type::Null => "null".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Number => "number".to_owned(),
        Type::String => "string".to_owned(),
        Type::Literal(text) | Type::Named(text) => text.clone(),
        Type::Array(element) => format!("{}[]", nested(element, indent)),
        Type::Tuple(elements) => {
            let elements = elements.iter().map(|element| written(element, indent));
            format!("[{}]", elements.collect::<Vec<_>>().join(", "))
        }
        Type::Record(element) => format!("Record<string, {}>", written(element, indent)),
        Type::Object(fields) if has_docs(value) => block(fields, indent),
        Type::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Type::Object(fields) => {
            let fields = fields.iter().map(|field| property(field, indent));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
        }
        Type::Union(members) => {
            let members = members.iter().map(|member| nested(&member.value, indent));
            members.collect::<Vec<_>>().join(" | ")
        }
        Type::Intersection(parts) => {
            let parts = parts.iter().map(|part| nested(part, indent));
            parts.collect::<Vec<_>>().join(" & ")
        }
    }
}

/// In brackets, where something follows that would be read as part of it.
fn nested(value: &Type, indent: &str) -> String {
    let text = written(value, indent);
    match value {
        Type::Union(_) | Type::Intersection(_) => format!("({text})"),
        _ => text,
    }
}

fn block(fields: &[Field], indent: &str) -> String {
    let inner = format!("{indent}{STEP}");
    let mut text = "{\n".to_owned();
    for field in fields {
        text.push_str(&comment(&field.doc, &inner));
        let property = property(field, &inner);
        writeln!(text, "{inner}{property};").expect("a string takes everything");
    }
    text + indent + "}"
}

fn property(field: &Field, indent: &str) -> String {
    let Field {
        name,
        doc: _above,
        is_optional,
        value,
    } = field;
    let mark = if *is_optional { "?" } else { "" };
    format!("{}{mark}: {}", key(name), written(value, indent))
}

/// A property's name.
pub(super) fn key(name: &str) -> String {
    if is_identifier(name) {
        return name.to_owned();
    }
    quoted(name)
}

/// A text as JavaScript has it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text inside of backticks.
pub(super) fn in_template(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('`', "\\`")
        .replace("${", "\\${")
}

/// A comment for tools that read TypeScript; nothing where there is nothing to say.
pub(super) fn comment(doc: &str, indent: &str) -> String {
    let doc = doc.trim().replace("*/", "*\\/");
    if doc.is_empty() {
        return String::new();
    }
    if !doc.contains('\n') {
        return format!("{indent}/** {doc} */\n");
    }
    let mut text = format!("{indent}/**\n");
    for line in doc.lines() {
        let line = format!("{indent} * {line}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text + indent + " */\n"
}

fn has_docs(value: &Type) -> bool {
    match value {
        Type::Object(fields) => fields
            .iter()
            .any(|field| !field.doc.is_empty() || has_docs(&field.value)),
        Type::Array(inner) | Type::Record(inner) => has_docs(inner),
        Type::Tuple(parts) | Type::Intersection(parts) => parts.iter().any(has_docs),
        Type::Union(members) => members.iter().any(|member| has_docs(&member.value)),
        Type::Unknown
        | Type::Never
        | Type::Null
        | Type::Boolean
        | Type::Number
        | Type::String
        | Type::Literal(_)
        | Type::Named(_) => false,
    }
}
