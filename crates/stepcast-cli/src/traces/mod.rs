//! Spans for a collector of traces, in builds that have the feature `otel`: [`otlp`]. Others have [`none`] in its place.

#[cfg(not(feature = "otel"))]
mod none;
#[cfg(feature = "otel")]
mod otlp;

#[cfg(not(feature = "otel"))]
pub(crate) use self::none::Traces;
#[cfg(feature = "otel")]
pub(crate) use self::otlp::Traces;

/// The variables of OpenTelemetry that say where a collector is.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// The first of them that says it.
fn endpoint() -> Option<&'static str> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    ENDPOINTS.into_iter().find(is_set)
}
