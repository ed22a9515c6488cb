//! The report for the browser: one file that needs no other, and no script.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::chart::{Chart, escape};
use super::{PERCENTILES, Report, counted, grouped, in_unit};

const STYLE: &str = include_str!("page.css");

const CLOSED_LOOP: &str = "Closed loop: each connection keeps its window full, so a stall of the server holds back \
    requests and shows in few latencies. The longest gap and the slowest replies tell of it; --rate shows it in full.";

const OPEN_LOOP: &str = "Open loop: latencies count from when a request was due, so what a stall held up shows in \
    every request that it delayed.";

impl Report {
    /// The page.
    pub fn page(&self) -> String {
        let pace = if self.options.rate.is_some() { OPEN_LOOP } else { CLOSED_LOOP };
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>FluxionDB load: {0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>FluxionDB load: {0}</h1>\n<p>{1}</p>\n",
            escape(&self.options.workload.to_string()),
            escape(&format!("{}. {}. {}", self.workload_text(), self.load_text(), self.machine.date)),
        );
        page += &self.tiles();
        page += &self.trouble_section();
        page += &chart_section("Latency by percentile", self.latency_chart(), Some(pace));
        page += &section("Figures", &self.figures());
        page += &chart_section("Replies a second", self.rate_chart(), None);
        page += &chart_section("Slowest reply of each interval", self.slowest_chart(), None);
        page += &section("Load", &facts(&self.load_facts()));
        page += &section("Measured on", &facts(&self.machine_facts()));
        page += "<p>Replies are counted, not checked; payloads are always the same text. Times are taken by the load \
                 generator and hold its own delays; when it shares its CPU, tails are upper bounds.</p>\n";
        page + "</main>\n</body>\n</html>\n"
    }

    fn tiles(&self) -> String {
        let (measured, latencies) = (self.tally.measured, self.all_latencies());
        let mut tiles = vec![("replies a second", self.grouped_per_second(measured.replies))];
        if let Some(rate) = self.options.rate {
            tiles.push(("offered a second", grouped(rate.round() as u64)));
        }
        if measured.records > 0 {
            tiles.push(("records a second", self.grouped_per_second(measured.records)));
        }
        for (name, percentile) in [("p50", 50.0), ("p99", 99.0)] {
            tiles.push((name, html_time(latencies.value_at_percentile(percentile))));
        }
        tiles.push(("slowest", html_time(latencies.max())));
        tiles.push(("longest gap", format!("{:.1} ms", self.longest_gap_ms())));
        tiles.push(("errors", grouped(self.tally.counts.errors)));
        let mut html = String::from("<section class=\"tiles\">\n");
        for (name, value) in tiles {
            let _ = writeln!(html, "<div class=\"tile\"><b>{value}</b><span>{name}</span></div>");
        }
        html + "</section>\n"
    }

    fn trouble_section(&self) -> String {
        match self.trouble_text() {
            text if text == "none" => String::new(),
            text => {
                format!("<section class=\"trouble\">\n<h2>Trouble</h2>\n{}\n</section>\n", escape(&text))
            }
        }
    }

    fn figures(&self) -> String {
        let mut rows = String::from("<tr><th>requests</th><th>replies</th>");
        PERCENTILES.iter().for_each(|(name, _)| rows += &format!("<th>{name}</th>"));
        rows += "<th>max</th></tr>\n";
        let sent: Vec<_> = self.sent_workloads().collect();
        for (workload, latencies) in &sent {
            rows += &figures_row(workload.name(), latencies);
        }
        if sent.len() > 1 {
            rows += &figures_row("all", &self.all_latencies());
        }
        format!("<div class=\"scroll\"><table class=\"figures\">\n{rows}</table></div>")
    }

    fn load_facts(&self) -> Vec<(String, String)> {
        let options = &self.options;
        let optional = |percent: u32| if percent == 0 { "none".to_owned() } else { format!("{percent} %") };
        let mut facts = vec![
            ("target", self.target.clone()),
            ("workload", self.workload_text()),
            ("pace", self.load_text()),
            ("out of order", optional(options.out_of_order)),
            ("overwriting", optional(options.overwrite)),
            ("warm-up", format!("{} s", options.warmup)),
            ("traffic", self.traffic_text()),
            (
                "records",
                format!(
                    "{} acknowledged in all, {} of them by the prefill",
                    grouped(self.records_acknowledged()),
                    grouped(self.records_before)
                ),
            ),
            ("load generator", self.client_text()),
        ];
        if let Some(cpus) = &options.pin {
            facts.push(("its CPUs", cpus.to_string()));
        }
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn machine_facts(&self) -> Vec<(String, String)> {
        let machine = &self.machine;
        let kind = if machine.is_virtual { ", of a virtual machine" } else { "" };
        let governor = machine.governor.clone().unwrap_or_else(|| "not told".to_owned());
        let known = [
            ("CPU", machine.cpu_model.clone()),
            ("CPUs", format!("{}{kind}", counted(machine.cpus as u64, "CPU", "CPUs"))),
            ("clock governor", governor),
            ("kernel", machine.kernel.clone()),
            ("date", machine.date.clone()),
        ];
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value));
        let noted = self.options.facts.iter().map(|fact| (fact.name.clone(), fact.value.clone()));
        known.chain(noted).collect()
    }
}

fn section(title: &str, body: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{body}\n</section>\n")
}

fn chart_section(title: &str, chart: Option<Chart>, note: Option<&str>) -> String {
    let Some(chart) = chart else { return String::new() };
    let mut body = String::new();
    if chart.series.len() > 1 {
        body += "<div class=\"legend\">";
        for series in &chart.series {
            let _ = write!(body, "<span class=\"c{}\"><i></i>{}</span>", series.colour, escape(&series.name));
        }
        body += "</div>\n";
    }
    body += &chart.svg();
    if let Some(note) = note {
        let _ = write!(body, "\n<p>{}</p>", escape(note));
    }
    section(title, &body)
}

fn facts(facts: &[(String, String)]) -> String {
    let mut rows = String::new();
    for (name, value) in facts {
        let _ = writeln!(rows, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    format!("<table class=\"facts\">\n{rows}</table>")
}

fn figures_row(name: &str, latencies: &Histogram<u64>) -> String {
    let mut row = format!("<tr><th>{name}</th><td>{}</td>", grouped(latencies.len()));
    for (_, percentile) in PERCENTILES {
        row += &format!("<td>{}</td>", html_time(latencies.value_at_percentile(percentile)));
    }
    row + &format!("<td>{}</td></tr>\n", html_time(latencies.max()))
}

fn html_time(nanoseconds: u64) -> String {
    in_unit(nanoseconds).replace(" us", " µs")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::connection::Answered;
    use crate::options::Options;
    use crate::tally::Tally;
    use crate::timeline::Timeline;
    use crate::window::Request;
    use crate::workload::Workload;

    fn report(arguments: &[&str], replies: u64) -> Report {
        let options = Options::parse_from([&["fluxiondb-bench"], arguments].concat());
        let mut tally = Tally::over(Timeline::new(0, 1_000_000_000)).unwrap();
        for reply in 0..replies {
            let workload = Workload::ALL[reply as usize % 2];
            let request = Some(Request { since_ns: reply * 90_000, workload, records: 1 });
            tally.answered(Answered { request, error: None }, reply * 100_000);
        }
        tally.timeline.finish(replies * 100_000);
        tally.measured_ns = 1_000_000_000;
        Report::new(&options, &options.url, tally, 0, 0.0)
    }

    #[test]
    fn a_page_is_whole_and_needs_nothing_else() {
        let page = report(&["--workload=ins=1,qdoc=1", "--rate=1000", "--fact=note=<b>"], 10_000).page();
        for part in ["<svg", "legend", "offered", "99.9%", "note</th><td>&lt;b&gt;", "</html>"] {
            assert!(page.contains(part), "{part}");
        }
        for outside in ["<script", "http://", "https://", "url(", "@import", "<link", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), 3);
    }

    #[test]
    fn a_run_without_replies_has_a_page_without_charts() {
        let page = report(&["--workload=gval"], 0).page();
        assert!(page.contains("</html>") && !page.contains("<svg"));
    }
}
