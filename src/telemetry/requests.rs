//! Requests by route, method and status, and how long they took.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

/// Methods and statuses that have a label of their own, and then those for the rest.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];
const STATUSES: [&str; 19] = [
    "200", "201", "204", "303", "400", "401", "403", "404", "405", "409", "413", "415", "429", "500", "503", "2xx",
    "3xx", "4xx", "5xx",
];

/// The place of a status among [`STATUSES`].
fn status_index(status: u16) -> usize {
    match status {
        200 => 0,
        201 => 1,
        204 => 2,
        303 => 3,
        400 => 4,
        401 => 5,
        403 => 6,
        404 => 7,
        405 => 8,
        409 => 9,
        413 => 10,
        415 => 11,
        429 => 12,
        500 => 13,
        503 => 14,
        _ if status < 300 => 15,
        _ if status < 400 => 16,
        _ if status < 500 => 17,
        _ => 18,
    }
}

/// Counts the requests of one route. Its handles are looked up once: with names and labels that takes as long as all else about it.
#[derive(Debug)]
pub struct RequestMeter {
    route: &'static str,
    took: OnceLock<Histogram>,
    counts: [[OnceLock<Counter>; STATUSES.len()]; METHODS.len()],
}

impl RequestMeter {
    /// For this route: the pattern, never the path.
    #[must_use]
    pub fn new(route: &'static str) -> Self {
        Self { route, took: OnceLock::new(), counts: Default::default() }
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// One answered request. The recorder must have been started before the first one.
    pub fn count(&self, method: &'static str, status: u16, took: Duration) {
        let place = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let handle = &self.counts[place][status_index(status)];
        handle.get_or_init(|| counter(self.route, method, status)).increment(1);
        self.took.get_or_init(|| histogram(self.route)).record(took.as_secs_f64());
    }
}

/// One answered request of a route that is not asked for often.
pub fn request(route: &'static str, method: &'static str, status: u16, took: Duration) {
    counter(route, method, status).increment(1);
    histogram(route).record(took.as_secs_f64());
}

fn counter(route: &'static str, method: &'static str, status: u16) -> Counter {
    let status = STATUSES[status_index(status)];
    counter!("keystead_http_requests_total", "route" => route, "method" => method, "status" => status)
}

fn histogram(route: &'static str) -> Histogram {
    histogram!("keystead_http_request_duration_seconds", "route" => route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_label_of_its_own_or_of_its_class() {
        for status in 100..600 {
            let label = STATUSES[status_index(status)];
            let class = if status < 200 { "2xx".to_owned() } else { format!("{}xx", status / 100) };
            assert!(label == status.to_string() || label == class, "{status} {label}");
        }
        for own in STATUSES.iter().filter_map(|label| label.parse::<u16>().ok()) {
            assert_eq!(STATUSES[status_index(own)], own.to_string());
        }
    }
}
