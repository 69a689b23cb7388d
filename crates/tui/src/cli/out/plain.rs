//! Tab separated records for `cut` and `awk`: one service a line, no header. Columns are only ever
//! added at the end.

use smoothserve_protocol::snapshot::{ServiceDetail, Snapshot};

use crate::words::{ready, service_state};

/// `smoothtool status --plain`: name, state, ready, instances, generation, in flight, held,
/// requests a second, median and 99th percentile in ms, errors in percent, lost, seconds in this
/// state, operation, `stale` when its file is wrong and its former configuration runs. What is not
/// known is empty.
pub(crate) fn status(snapshot: &Snapshot) -> String {
    snapshot.services.iter().map(|service| record(service) + "\n").collect()
}

fn record(service: &ServiceDetail) -> String {
    let (row, traffic) = (&service.row, &service.row.traffic);
    let ms = |us: Option<u64>| us.map(|us| (us as f64 / 1000.0).to_string()).unwrap_or_default();
    let operation = row.operation.map(|operation| operation.id.to_string());
    [
        row.name.to_string(),
        service_state(row.state).to_owned(),
        ready(row).to_string(),
        row.pips.len().to_string(),
        row.generation.0.to_string(),
        traffic.in_flight.to_string(),
        traffic.held.to_string(),
        (traffic.milli_rps as f64 / 1000.0).to_string(),
        ms(traffic.p50_us),
        ms(traffic.p99_us),
        (f64::from(traffic.errors_ppm) / 10_000.0).to_string(),
        traffic.lost.to_string(),
        (row.since_ms / 1000).to_string(),
        operation.unwrap_or_default(),
        if row.stale_config { "stale" } else { "" }.to_owned(),
    ]
    .join("\t")
}
