//! Line charts as SVG text: axes, series, guides and places to hover. Colours come from the page's style.
//!
//! A chart is linear in both directions; whoever wants another scale gives transformed values and labels its ticks.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// One direction of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The quantity measured along it.
    pub title: String,
    /// The value at the origin.
    pub from: f64,
    /// The value at the end; above `from`.
    pub to: f64,
    /// Values with a label.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to at least this value, with about five round ticks.
    pub fn from_zero(title: &str, largest: f64, label: impl Fn(f64) -> String) -> Self {
        let step = round_step(largest.max(f64::MIN_POSITIVE) / 5.0);
        let count = (largest / step).ceil().max(1.0) as u32;
        let ticks =
            (0..=count).map(|tick| f64::from(tick) * step).map(|value| (value, label(value))).collect();
        Self { title: title.to_owned(), from: 0.0, to: f64::from(count) * step, ticks }
    }

    /// From 0 to exactly this value, for what ends there.
    pub fn up_to(title: &str, largest: f64, label: impl Fn(f64) -> String) -> Self {
        let mut axis = Self::from_zero(title, largest, label);
        axis.to = largest.max(f64::MIN_POSITIVE);
        axis.ticks.retain(|&(value, _)| value <= largest);
        axis
    }

    /// Powers of ten between two values above 0, and with few of them also their doubles and halves; places are
    /// decimal logarithms.
    pub fn decades(title: &str, smallest: f64, largest: f64, label: impl Fn(f64) -> String) -> Self {
        let (from, to) =
            (smallest.log10().floor(), largest.log10().ceil().max(smallest.log10().floor() + 1.0));
        let between: &[f64] = if to - from <= 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        for decade in from as i32..=to as i32 {
            for factor in between {
                let value = factor * 10_f64.powi(decade);
                ticks.push((value.log10(), label(value)));
            }
        }
        // What is drawn begins and ends at a tick beside the data, not at a whole decade.
        let first = ticks.iter().rposition(|&(at, _)| at <= smallest.log10() + 1e-9).unwrap_or(0);
        let last = ticks.iter().position(|&(at, _)| at >= largest.log10() - 1e-9).unwrap_or(ticks.len() - 1);
        let ticks: Vec<_> = ticks.drain(first..=last.max(first + 1).min(ticks.len() - 1)).collect();
        Self { title: title.to_owned(), from: ticks[0].0, to: ticks[ticks.len() - 1].0, ticks }
    }

    fn share(&self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// The smallest of 1, 2, 5, 10, 20, … that is not below a value above 0.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * decade)
        .into_iter()
        .find(|&step| step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * decade)
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// Shown beside others; a series alone needs none.
    pub name: String,
    /// Which of the style's colours.
    pub colour: usize,
    /// Places in the chart's units, from left to right.
    pub points: Vec<(f64, f64)>,
    /// Whether what is below the line is shaded.
    pub is_filled: bool,
}

/// A place that says something when pointed at.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Where it is.
    pub at: (f64, f64),
    /// Its text.
    pub text: String,
    /// A dot of this colour; without it the whole height is sensitive, as wide as given in `Chart::spot_width`.
    pub dot: Option<usize>,
}

/// A chart that is about to be drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// A description of the chart, for those who can't see it.
    pub label: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// Its lines, the first one lowest.
    pub series: Vec<Series>,
    /// A dashed line across, and what it is.
    pub guide: Option<(f64, String)>,
    /// Places to point at.
    pub spots: Vec<Spot>,
    /// The width of spots without a dot, in units of `x`.
    pub spot_width: f64,
}

impl Chart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            escape(&self.label)
        );
        self.axes(&mut svg);
        for series in &self.series {
            self.line(&mut svg, series);
        }
        self.guide_line(&mut svg);
        self.spots.iter().for_each(|spot| self.spot(&mut svg, spot));
        svg + "</svg>"
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        (LEFT + width * self.x.share(x), TOP + height * (1.0 - self.y.share(y)))
    }

    fn axes(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, label) in &self.y.ticks {
            let (_, y) = self.place((self.x.from, *value));
            let _ = write!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{right}"/>"#);
            text(svg, "end", LEFT - 8.0, y + 4.0, label);
        }
        for (value, label) in &self.x.ticks {
            let (x, _) = self.place((*value, self.y.from));
            let _ = write!(svg, r#"<path class="grid" d="M{x:.1} {TOP}V{bottom}"/>"#);
            text(svg, "middle", x, bottom + 18.0, label);
        }
        let _ = write!(svg, r#"<path class="axis" d="M{LEFT} {bottom}H{right}"/>"#);
        text(svg, "end", right, HEIGHT - 6.0, &self.x.title);
    }

    fn line(&self, svg: &mut String, series: &Series) {
        let mut path = String::new();
        for (index, &point) in series.points.iter().enumerate() {
            let (x, y) = self.place(point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        let (Some(&first), Some(&last)) = (series.points.first(), series.points.last()) else { return };
        let colour = series.colour;
        if series.is_filled {
            let (from, bottom) = self.place((first.0, self.y.from));
            let (to, _) = self.place((last.0, self.y.from));
            let _ = write!(
                svg,
                r#"<path class="area c{colour}" d="{path}L{to:.1} {bottom:.1}L{from:.1} {bottom:.1}Z"/>"#
            );
        }
        let _ = write!(svg, r#"<path class="line c{colour}" d="{path}"/>"#);
    }

    fn guide_line(&self, svg: &mut String) {
        let Some((value, label)) = &self.guide else { return };
        let (_, y) = self.place((self.x.from, *value));
        let right = WIDTH - RIGHT;
        let _ = write!(svg, r#"<path class="guide" d="M{LEFT} {y:.1}H{right}"/>"#);
        let _ = write!(svg, r#"<g class="note">"#);
        text(svg, "end", right - 4.0, y - 5.0, label);
        svg.push_str("</g>");
    }

    fn spot(&self, svg: &mut String, spot: &Spot) {
        let (x, y) = self.place(spot.at);
        let said = escape(&spot.text);
        if let Some(colour) = spot.dot {
            let _ = write!(
                svg,
                r#"<circle class="dot c{colour}" cx="{x:.1}" cy="{y:.1}" r="4"><title>{said}</title></circle>"#
            );
            return;
        }
        let width = self.place((spot.at.0 + self.spot_width, 0.0)).0 - x;
        let height = HEIGHT - TOP - BOTTOM;
        let _ = write!(
            svg,
            r#"<rect class="spot" x="{x:.1}" y="{TOP}" width="{width:.1}" height="{height}"><title>{said}</title></rect>"#
        );
    }
}

fn text(svg: &mut String, anchor: &str, x: f64, y: f64, content: &str) {
    // Writing to a string does not fail, here as everywhere in this file.
    let _ = write!(svg, r#"<text text-anchor="{anchor}" x="{x:.1}" y="{y:.1}">{}</text>"#, escape(content));
}

/// Text as HTML shows it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn axes_from_zero_end_at_a_round_number() {
        let axis = Axis::from_zero("", 1_034_000.0, |value| format!("{value}"));
        assert_eq!(labels(&axis), ["0", "500000", "1000000", "1500000"]);
        assert_eq!(labels(&Axis::up_to("", 3.0, |value| format!("{value}"))), ["0", "1", "2", "3"]);
        let nothing = Axis::from_zero("", 0.0, |value| format!("{value}"));
        assert!(nothing.to > nothing.from);
    }

    #[test]
    fn logarithmic_axes_enclose_their_data() {
        let axis = Axis::decades("", 30.0, 1_500.0, |value| format!("{value:.0}"));
        assert_eq!(labels(&axis), ["20", "50", "100", "200", "500", "1000", "2000"]);
        let wide = Axis::decades("", 1.0, 1e6, |value| format!("{value:.0}"));
        assert_eq!(labels(&wide).len(), 7);
        for one in [0.7, 1.0, 2.0, 10.0, 500.0] {
            let axis = Axis::decades("", one, one, |value| format!("{value:.0}"));
            assert!(
                axis.from <= one.log10() + 1e-9 && axis.to > axis.from && axis.to >= one.log10() - 1e-9,
                "{axis:?}"
            );
        }
    }

    #[test]
    fn what_a_chart_says_is_escaped_and_inside_its_frame() {
        let axis = Axis::from_zero("a<b", 10.0, |value| format!("{value}"));
        let chart = Chart {
            label: "\"x\" & y".to_owned(),
            x: axis.clone(),
            y: axis,
            series: vec![Series {
                name: String::new(),
                colour: 1,
                points: vec![(0.0, 0.0), (10.0, 99.0)],
                is_filled: true,
            }],
            guide: Some((5.0, "half".to_owned())),
            spots: vec![Spot { at: (9.0, 1.0), text: "<here>".to_owned(), dot: None }],
            spot_width: 5.0,
        };
        let svg = chart.svg();
        assert!(
            svg.contains("&quot;x&quot; &amp; y") && svg.contains("a&lt;b") && svg.contains("&lt;here&gt;")
        );
        assert!(
            svg.contains(&format!(
                r#"class="line c1" d="M{LEFT:.1} {:.1}L{:.1} {TOP:.1}""#,
                HEIGHT - BOTTOM,
                WIDTH - RIGHT
            )),
            "{svg}"
        );
    }
}
