//! Logs for operators, and traces where the standard `OTEL_*` variables ask for them. Apart from the pull log.

use std::env;
use std::io::IsTerminal as _;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

mod escape;
mod export;
#[cfg(test)]
mod tests;

/// Bytes of a `tracestate`; the W3C recommendation asks for no more. Over it: not taken over.
const TRACESTATE_BYTES: usize = 512;

/// How long the last spans are waited for at the end.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Keeps the export going; dropping it sends what is left, so it must be dropped while the async runtime still runs.
#[derive(Debug)]
#[must_use]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON object a line.
    Json,
    /// For people.
    Text(Colours),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Off,
    On,
}

/// Starts logs on standard error: text, or JSON where `PULLGATE_LOG_FORMAT=json`; filtered by `PULLGATE_LOG` or
/// `RUST_LOG`, `info` where neither is set. Must run inside the async runtime.
pub fn start() -> Telemetry {
    let filter = filter();
    let (provider, fault) = match export::endpoint_is_set().then(export::provider) {
        Some(Ok(provider)) => (Some(provider), None),
        Some(Err(fault)) => (None, Some(fault)),
        None => (None, None),
    };
    let lines = lines(form(), filter.taken, std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(traces(provider.as_ref())).with(lines).try_init();
    if let Some(refused) = filter.refused {
        tracing::warn!(refused, "the log filter cannot be read; \"info\" is taken");
    }
    if let Some(fault) = fault {
        tracing::error!(%fault, "traces are not exported");
    }
    Telemetry { provider }
}

/// The trace of a client's `traceparent`; an empty one without that header.
#[must_use]
pub fn parent_context(headers: &HeaderMap) -> Context {
    // Not the thread's context: a request belongs to its client's trace or to no trace.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Makes `span` part of the trace that a client's `traceparent` names. To be called before the span is entered.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    if !headers.contains_key("traceparent") {
        return;
    }
    // Without an exporter there is no layer that would use it.
    let _ = span.set_parent(parent_context(headers));
}

struct Filter {
    taken: EnvFilter,
    /// What could not be read.
    refused: Option<String>,
}

fn filter() -> Filter {
    let asked = ["PULLGATE_LOG", "RUST_LOG"].into_iter().find_map(|name| env::var(name).ok());
    let asked = asked.filter(|asked| !asked.is_empty());
    match asked.as_deref().map(EnvFilter::try_new) {
        Some(Ok(taken)) => Filter { taken, refused: None },
        Some(Err(_)) => Filter { taken: EnvFilter::new("info"), refused: asked },
        None => Filter { taken: EnvFilter::new("info"), refused: None },
    }
}

fn form() -> Form {
    if env::var("PULLGATE_LOG_FORMAT").is_ok_and(|format| format == "json") {
        return Form::Json;
    }
    // no-color.org: set and not empty, whatever it says.
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !unwanted;
    Form::Text(if colours { Colours::On } else { Colours::Off })
}

/// Log lines. The filter applies to log lines only: the export does not depend on the log level.
fn lines<S, W>(form: Form, filter: EnvFilter, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    match form {
        Form::Json => {
            let writer = escape::Lines(writer);
            tracing_subscriber::fmt::layer().json().with_writer(writer).with_filter(filter).boxed()
        }
        Form::Text(colours) => tracing_subscriber::fmt::layer()
            .with_ansi(colours == Colours::On)
            .fmt_fields(escape::fields())
            .with_writer(writer)
            .with_filter(filter)
            .boxed(),
    }
}

/// Exports the gate's own spans only: spans of libraries would describe the export itself, without end.
fn traces(provider: Option<&SdkTracerProvider>) -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
    let own = |metadata: &Metadata<'_>| {
        let target = metadata.target();
        target == "pullgate" || target.starts_with("pullgate::")
    };
    let tracer = provider?.tracer("pullgate");
    Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(own)).boxed())
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key)?.to_str().ok()?;
        (key != "tracestate" || value.len() <= TRACESTATE_BYTES).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown_with_timeout(LAST_SPANS)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
