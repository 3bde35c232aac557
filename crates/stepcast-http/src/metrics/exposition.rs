//! The text format that Prometheus reads, version 0.0.4: families of samples, written from values that were read before.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write;

use stepcast_engine::Distribution;

/// What kind of values a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Is what it is at the moment.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Labels of a sample, in the order in which they are written.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// A page under way.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// A family under way.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family.
    pub(super) fn family(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let text = &mut self.0;
        put(
            text,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        Family { text, name }
    }

    /// The whole page.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One value.
    pub(super) fn sample(self, labels: Labels<'_>, value: u64) -> Self {
        let Self { text, name } = self;
        put_name(text, name, "", labels, None);
        put(text, format_args!(" {value}\n"));
        Self { text, name }
    }

    /// A histogram, whose values are so many to one.
    pub(super) fn histogram(self, labels: Labels<'_>, seen: &Distribution, per_one: f64) -> Self {
        let Self { text, name } = self;
        let scaled = |value: u64| value as f64 / per_one;
        let bounds = seen.bounds.iter().map(|bound| scaled(*bound).to_string());
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let mut up_to = 0;
        for (bound, count) in bounds.zip(&seen.counts) {
            up_to += count;
            put_name(text, name, "_bucket", labels, Some(&bound));
            put(text, format_args!(" {up_to}\n"));
        }
        put_name(text, name, "_sum", labels, None);
        put(text, format_args!(" {}\n", scaled(seen.sum)));
        put_name(text, name, "_count", labels, None);
        put(text, format_args!(" {up_to}\n"));
        Self { text, name }
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what)
        .expect("a text takes whatever is written to it");
}

fn put_name(text: &mut String, name: &str, suffix: &str, labels: Labels<'_>, bound: Option<&str>) {
    text.push_str(name);
    text.push_str(suffix);
    let bound = bound.map(|bound| ("le", bound));
    let mut before = '{';
    for (label, value) in labels.iter().copied().chain(bound) {
        put(text, format_args!("{before}{label}=\""));
        value.chars().for_each(|letter| match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        });
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut page = Exposition::default();
        page.family("a_total", Kind::Counter, "Some.")
            .sample(&[], 3)
            .sample(&[("function", "x\"\\\ny"), ("status", "ok")], 4);
        let seen = Distribution {
            bounds: &[50, 1_000],
            counts: vec![2, 0, 1],
            sum: 2_500,
        };
        page.family("b_seconds", Kind::Histogram, "Times.")
            .histogram(&[("verb", "run")], &seen, 1e3);
        let expected = r#"# HELP a_total Some.
# TYPE a_total counter
a_total 3
a_total{function="x\"\\\ny",status="ok"} 4
# HELP b_seconds Times.
# TYPE b_seconds histogram
b_seconds_bucket{verb="run",le="0.05"} 2
b_seconds_bucket{verb="run",le="1"} 2
b_seconds_bucket{verb="run",le="+Inf"} 3
b_seconds_sum{verb="run"} 2.5
b_seconds_count{verb="run"} 3
"#;
        assert_eq!(page.into_text(), expected);
    }
}
