//! Charts of a suite's medians, as SVG: bars side by side, a group for each measure, a colour for each system.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::chart::SeriesLabelPosition;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::e2e::{PERCENTILES, paced_row};
use crate::report::Report;

const SIZE: (u32, u32) = (960, 480);
/// Of a group's width; the rest is the gap to the next one.
const FILLED: f64 = 0.8;

struct Chart {
    /// Ends the name of its file.
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    /// Where the largest value is many times the smallest.
    logarithmic: bool,
    /// What a group is called, and the measure that it shows.
    groups: Vec<(String, String)>,
}

/// The charts that say something about a suite.
fn charts(suite: &str) -> Vec<Chart> {
    let named = |groups: &[(&str, &str)]| groups.iter().map(|(name, what)| ((*name).into(), (*what).into())).collect();
    match suite {
        "peers" => vec![
            Chart {
                name: "rates",
                title: "64 clients; of these systems duroxide-lax alone does not flush",
                unit: "a second",
                logarithmic: true,
                groups: named(&[
                    ("starts acknowledged", "A starts acknowledged"),
                    ("events to results", "B event to completed"),
                ]),
            },
            Chart {
                name: "latencies",
                title: "From the event to its result seen",
                unit: "ms",
                logarithmic: true,
                groups: named(&[
                    ("one client, p50", "C unloaded raise to result seen p50"),
                    ("64 clients, p50", "B raise to result seen p50"),
                    ("64 clients, p99", "B raise to result seen p99"),
                ]),
            },
        ],
        "e2e" => vec![Chart {
            name: "paced",
            title: "Events at a given rate: from the moment each was to be sent to its result seen",
            unit: "ms",
            logarithmic: true,
            groups: PERCENTILES.map(|percentile| (format!("p{percentile}"), paced_row(percentile))).into(),
        }],
        "scale" => vec![Chart {
            name: "rates",
            title: "By how many instances wait",
            unit: "a second",
            logarithmic: false,
            groups: named(&[
                ("starts acknowledged", "starts acknowledged"),
                ("events to results", "event to completed"),
            ]),
        }],
        _ => Vec::new(),
    }
}

/// Writes `<name>-<chart>.svg` for each chart of the report's suite of which anything was measured.
pub fn write(report: &Report, directory: &Path, name: &str) -> Result<()> {
    for chart in charts(report.suite()) {
        let Some(bars) = Bars::of(&chart, report) else { continue };
        let file = directory.join(format!("{name}-{}.svg", chart.name));
        let area = SVGBackend::new(&file, SIZE).into_drawing_area();
        let drawn = match chart.logarithmic {
            true => {
                draw(&area, &chart, &bars, (bars.smallest / 2.0..bars.largest * 2.0).log_scale(), bars.smallest / 2.0)
            }
            false => draw(&area, &chart, &bars, 0.0..bars.largest * 1.1, 0.0),
        };
        drawn
            .and_then(|()| Ok(area.present()?))
            .map_err(|error| anyhow!("{} was not drawn: {error}", file.display()))?;
        println!("written to {}", file.display());
    }
    Ok(())
}

/// What a chart shows.
struct Bars {
    /// A system, and its value in each group.
    systems: Vec<(String, Vec<Option<f64>>)>,
    smallest: f64,
    largest: f64,
}

impl Bars {
    /// None where there is nothing above zero.
    fn of(chart: &Chart, report: &Report) -> Option<Bars> {
        let values = |system: &String| -> Vec<Option<f64>> {
            let positive = |what| report.median(what, system).filter(|median| *median > 0.0);
            chart.groups.iter().map(|(_, what)| positive(what)).collect()
        };
        let mut systems: Vec<_> = report.systems().iter().map(|system| (system.clone(), values(system))).collect();
        systems.retain(|(_, values)| values.iter().any(Option::is_some));
        let all = || systems.iter().flat_map(|(_, values)| values).flatten().copied();
        let (smallest, largest) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
        Some(Bars { systems, smallest, largest })
    }
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw<Y>(area: &DrawingArea<SVGBackend, Shift>, chart: &Chart, bars: &Bars, axis: Y, bottom: f64) -> Drawn
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    area.fill(&WHITE)?;
    let groups: Range<f64> = 0.0..chart.groups.len() as f64;
    let mut plot = ChartBuilder::on(area)
        .caption(chart.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(72)
        .build_cartesian_2d(groups, axis)?;
    let group = |place: &f64| chart.groups.get(*place as usize).map(|(name, _)| name.clone()).unwrap_or_default();
    plot.configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(chart.groups.len() * 2 + 1)
        .x_label_formatter(&|place| if place.fract() == 0.5 { group(place) } else { String::new() })
        .y_desc(chart.unit)
        .draw()?;
    let width = FILLED / bars.systems.len() as f64;
    for (place, (system, values)) in bars.systems.iter().enumerate() {
        let colour = Palette99::pick(place).filled();
        let bar = |(group, value): (usize, &Option<f64>)| {
            let left = group as f64 + (1.0 - FILLED) / 2.0 + width * place as f64;
            value.map(|value| Rectangle::new([(left, bottom), (left + width * 0.9, value)], colour))
        };
        plot.draw_series(values.iter().enumerate().filter_map(bar))?
            .label(system)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour));
    }
    plot.configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}
