//! How costs grow, as a chart of three panels: fork and exit by the page over the size of the region, by the child over the
//! children alive, by the mapping over their number. Flat lines are good.

use std::path::Path;

use plotters::prelude::*;

use crate::log::{Row, Run};
use crate::pair::folio_name;

/// A panel's size in pixels, and what is above.
const PANEL: (u32, u32) = (460, 340);
const HEAD: u32 = 40;
const COLOURS: [RGBColor; 6] = [
    RGBColor(30, 90, 170),
    RGBColor(200, 80, 40),
    RGBColor(60, 140, 60),
    RGBColor(140, 80, 160),
    RGBColor(120, 120, 120),
    RGBColor(190, 150, 30),
];

/// One panel.
pub struct Panel {
    /// What is shown.
    title: &'static str,
    /// What the figures go over.
    over: &'static str,
    /// The lines, each with its name: points of what they go over and the figure.
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// The panels that there are measurements for.
///
/// # Errors
/// There are none.
pub fn panels(run: &Run) -> Result<Vec<Panel>, String> {
    let fixed = |op: &str| {
        let row = run.rows.iter().find(|row| row.op == op);
        row.map_or(0.0, |row| row.instructions as f64)
    };
    let (fork, exit) = (fixed("fork_fixed"), fixed("exit_fixed"));
    let by_count = |row: &Row, fixed: f64| {
        let count = row.count? as f64;
        Some((count, (row.instructions as f64 - fixed) / count))
    };
    let whole = |row: &Row| Some((row.count? as f64, row.instructions as f64));
    let mut region = Panel { title: "per 4 KiB page", over: "MiB", lines: Vec::new() };
    for op in ["scale_fork", "scale_exit"] {
        for folio in folios(run, op) {
            let points = points(run, op, |row| {
                (row.folio() == folio).then_some((row.region_mib as f64, row.per_page))
            });
            region.lines.push((format!("{} {}", name(op), folio_name(folio)), points));
        }
    }
    let mut panels = vec![region];
    panels.push(Panel {
        title: "a process more",
        over: "children alive",
        lines: ["scale_child_fork", "scale_child_exit"]
            .map(|op| (name(op).into(), points(run, op, whole)))
            .into(),
    });
    panels.push(Panel {
        title: "per mapping",
        over: "mappings",
        lines: [("scale_vma_fork", fork), ("scale_vma_exit", exit)]
            .map(|(op, fixed)| (name(op).into(), points(run, op, |row| by_count(row, fixed))))
            .into(),
    });
    for panel in &mut panels {
        panel.lines.retain(|(_, points)| !points.is_empty());
    }
    panels.retain(|panel| !panel.lines.is_empty());
    if panels.is_empty() { Err("no `scale_` measurements".into()) } else { Ok(panels) }
}

/// `fork` of `scale_child_fork`.
fn name(op: &str) -> &str {
    op.rsplit('_').next().unwrap_or(op)
}

fn points(run: &Run, op: &str, point: impl Fn(&Row) -> Option<(f64, f64)>) -> Vec<(f64, f64)> {
    run.rows.iter().filter(|row| row.op == op).filter_map(point).collect()
}

fn folios(run: &Run, op: &str) -> Vec<(u32, bool)> {
    let mut folios: Vec<_> = run.rows.iter().filter(|row| row.op == op).map(Row::folio).collect();
    folios.dedup();
    folios
}

/// The panels as text: a line for each line, its figures from the first to the last.
pub fn show(panels: &[Panel]) -> String {
    let mut text = String::new();
    for Panel { title, over, lines } in panels {
        text += &format!("{title}, by {over}\n");
        for (name, points) in lines {
            let cells: String = points.iter().map(|(x, figure)| format!("  {x}: {figure:.2}")).collect();
            text += &format!("  {name:10}{cells}\n");
        }
    }
    text
}

/// Writes the chart to `path`.
///
/// # Errors
/// The file cannot be written.
pub fn write(run: &Run, panels: &[Panel], path: &Path) -> Result<(), String> {
    draw(run, panels, SVGBackend::new(path, size(panels))).map_err(|e| e.to_string())
}

fn size(panels: &[Panel]) -> (u32, u32) {
    (PANEL.0 * panels.len() as u32, HEAD + PANEL.1)
}

type Failed<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;

fn draw<B: DrawingBackend>(run: &Run, panels: &[Panel], backend: B) -> Result<(), Failed<B>> {
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("How {} grow on {}", run.unit, run.kernel);
    let below = root.titled(&title, ("sans-serif", 22))?;
    for (area, panel) in below.split_evenly((1, panels.len())).iter().zip(panels) {
        draw_panel(panel, area)?;
    }
    root.present()
}

fn draw_panel<B: DrawingBackend>(
    panel: &Panel,
    area: &DrawingArea<B, plotters::coord::Shift>,
) -> Result<(), Failed<B>> {
    let all = || panel.lines.iter().flat_map(|(_, points)| points);
    let left = all().map(|point| point.0).fold(f64::MAX, f64::min);
    let right = all().map(|point| point.0).fold(left, f64::max);
    let high = all().map(|point| point.1).fold(1.0, f64::max);
    // From 0, so that what looks flat is.
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, by {}", panel.title, panel.over), ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(56)
        .build_cartesian_2d((left..right.max(left * 2.0) * 1.1).log_scale(), 0.0..high * 1.25)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|cost| format!("{cost:.0}"))
        .draw()?;
    for ((name, points), colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        let colour = *colour;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 11))
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy;

    fn run() -> Run {
        let mut run = Run::parse(&toy::log("Pleat", &[("scale_fork", 4, false, 40.0)])).unwrap();
        let bigger = Row { region_mib: 128, per_page: 40.5, ..toy::row("scale_fork", 4, false, 0.0) };
        let large = Row { region_mib: 128, ..toy::row("scale_fork", 2048, true, 2.0) };
        let whole = |op: &str, instructions, count| Row {
            pages: 0,
            instructions,
            count: Some(count),
            ..toy::row(op, 4, false, 0.0)
        };
        run.rows.extend([bigger, large, whole("fork_fixed", 3000, 0), whole("scale_child_fork", 3100, 10)]);
        run.rows.extend([whole("scale_vma_fork", 3200, 1), whole("scale_vma_fork", 23_000, 100)]);
        run
    }

    #[test]
    fn figures_are_by_what_they_grow_with() {
        let panels = panels(&run()).unwrap();
        let expected = "per 4 KiB page, by MiB\n  fork 4K     64: 40.00  128: 40.50\n  fork block  128: 2.00\n\
                        a process more, by children alive\n  fork        10: 3100.00\n\
                        per mapping, by mappings\n  fork        1: 200.00  100: 200.00\n";
        assert_eq!(show(&panels), expected);
    }

    #[test]
    fn every_line_is_in_the_chart() {
        let run = run();
        let panels = panels(&run).unwrap();
        let mut svg = String::new();
        draw(&run, &panels, SVGBackend::with_string(&mut svg, size(&panels))).unwrap();
        for text in ["fork 4K", "fork block", "per mapping, by mappings", "a process more, by children alive"]
        {
            assert!(svg.lines().any(|line| line.trim() == text), "{text}");
        }
        assert!(svg.matches("<polyline").count() >= 4);
    }

    #[test]
    fn a_log_without_such_measurements_is_refused() {
        assert!(panels(&Run::parse(&toy::log("Pleat", &[("fork", 4, false, 1.0)])).unwrap()).is_err());
    }
}
