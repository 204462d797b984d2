//! Spans to a collector, by OTLP over HTTP. The exporter reads the standard `OTEL_*` variables itself.

use std::env;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as Export};
use tokio::runtime::{Handle, TryCurrentError};

/// The variables that switch the export on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportFault {
    /// The exporter's own variables.
    #[error("the settings of the export cannot be used: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// This is not an async runtime.
    #[error("the export needs an async runtime")]
    Runtime(#[from] TryCurrentError),
    /// The collector would have to be asked by TLS.
    #[error("a collector is asked by http:// only; put one on this machine or beside the gate")]
    Tls,
}

/// Whether an export is asked for.
pub(super) fn endpoint_is_set() -> bool {
    let is = |name: &str, wanted: &str| env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case(wanted));
    let off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
    !off && ENDPOINTS.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The export that the variables ask for.
pub(super) fn provider() -> Result<SdkTracerProvider, ExportFault> {
    let endpoint = ENDPOINTS.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    if endpoint.is_some_and(|endpoint| endpoint.trim_start().to_ascii_lowercase().starts_with("https:")) {
        return Err(ExportFault::Tls);
    }
    built(SpanExporter::builder().with_http().build()?)
}

/// An export to this address, whatever the variables say.
#[cfg(test)]
pub(super) fn provider_to(endpoint: &str) -> Result<SdkTracerProvider, ExportFault> {
    use opentelemetry_otlp::WithExportConfig as _;
    built(SpanExporter::builder().with_http().with_endpoint(endpoint).build()?)
}

fn built(exporter: SpanExporter) -> Result<SdkTracerProvider, ExportFault> {
    let exporter = OnRuntime { exporter, runtime: Handle::try_current()? };
    let resource = Resource::builder_empty()
        .with_service_name("pullgate")
        .with_detector(Box::new(EnvResourceDetector::new()));
    // The environment comes last: it names the service where it wants to.
    let resource = match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name),
        Ok(_) | Err(_) => resource,
    };
    Ok(SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build())
}

/// An exporter that enters the async runtime: batches are sent from a thread outside of it.
#[derive(Debug)]
struct OnRuntime {
    exporter: SpanExporter,
    runtime: Handle,
}

impl Export for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut export = pin!(self.exporter.export(batch));
        poll_fn(|context| {
            let _inside = self.runtime.enter();
            export.as_mut().poll(context)
        })
        .await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
