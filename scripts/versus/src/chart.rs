//! The comparison as a chart: a panel per operation, cost per page over folio size, one line per kernel. Both axes are
//! logarithmic in effect: sizes are evenly spaced, and so are powers of ten of the cost.

use std::path::Path;

use plotters::prelude::*;

use crate::pair::{Comparison, folio_name};

/// Panels in a row, and a panel's size in pixels.
const ACROSS: usize = 3;
const PANEL: (u32, u32) = (420, 300);
/// Pixels above the panels, for the title.
const HEAD: u32 = 40;
/// One colour per kernel.
const COLOURS: [RGBColor; 2] = [RGBColor(200, 80, 40), RGBColor(30, 90, 170)];
/// What is drawn for a figure that a logarithmic axis has no place for.
const FLOOR: f64 = 0.01;

/// Writes the chart to `path`.
///
/// # Errors
/// The file cannot be written.
pub fn write(comparison: &Comparison, path: &Path) -> Result<(), String> {
    let size = size(comparison);
    draw(comparison, SVGBackend::new(path, size)).map_err(|e| e.to_string())
}

fn size(comparison: &Comparison) -> (u32, u32) {
    let down = comparison.ops("page").len().div_ceil(ACROSS) as u32;
    (PANEL.0 * ACROSS as u32, HEAD + PANEL.1 * down.max(1))
}

type Failed<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;

fn draw<B: DrawingBackend>(comparison: &Comparison, backend: B) -> Result<(), Failed<B>> {
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("{} per 4 KiB page, by size of the folios", capital(&comparison.unit));
    let below = root.titled(&title, ("sans-serif", 22))?;
    let ops = comparison.ops("page");
    for (area, op) in below.split_evenly((ops.len().div_ceil(ACROSS).max(1), ACROSS)).iter().zip(ops) {
        panel(comparison, op, area)?;
    }
    root.present()
}

fn panel<B: DrawingBackend>(
    comparison: &Comparison,
    op: &str,
    area: &DrawingArea<B, plotters::coord::Shift>,
) -> Result<(), Failed<B>> {
    let folios = comparison.folios();
    let line = |kernel: usize| -> Vec<(f64, f64)> {
        let at = |(x, &folio)| {
            let figure = comparison.pair(op, folio)?.figures[kernel];
            Some((x as f64, figure.max(FLOOR)))
        };
        folios.iter().enumerate().filter_map(at).collect()
    };
    let lines = [line(0), line(1)];
    let costs = || lines.iter().flatten().map(|&(_, cost)| cost);
    let (low, high) = (costs().fold(f64::MAX, f64::min), costs().fold(FLOOR, f64::max));
    let mut chart = ChartBuilder::on(area)
        .caption(op, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.3..folios.len() as f64 - 0.7, ((low / 1.5)..(high * 1.5)).log_scale())?;
    let name = |x: &f64| {
        let near = x.round();
        let folio = ((x - near).abs() < 0.01 && near >= 0.0).then(|| folios.get(near as usize)).flatten();
        folio.map_or(String::new(), |&folio| folio_name(folio))
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(folios.len() + 1)
        .x_label_formatter(&name)
        .y_label_formatter(&|cost| format!("{cost}"))
        .draw()?;
    for ((points, colour), kernel) in lines.into_iter().zip(COLOURS).zip(&comparison.kernels) {
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(kernel.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 11))
        .draw()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Run;
    use crate::toy;

    #[test]
    fn every_operation_kernel_and_size_is_in_it() {
        let figures: &[toy::Figure] = &[
            ("fork", 4, false, 150.0),
            ("fork", 64, false, 60.0),
            ("fork", 2048, true, 0.0),
            ("exit", 4, false, 5.0),
            ("munmap", 64, false, 7.0),
            ("populate", 64, false, 7.0),
        ];
        let run = |kernel| Run::parse(&toy::log(kernel, figures)).unwrap();
        let comparison = Comparison::new(run("Linux 6.12"), run("Pleat")).unwrap();
        let mut svg = String::new();
        draw(&comparison, SVGBackend::with_string(&mut svg, size(&comparison))).unwrap();
        assert!(svg.contains("height=\"640\""), "two rows of panels");
        for text in ["fork", "exit", "munmap", "populate", "Linux 6.12", "Pleat", "4K", "64K", "block"] {
            assert!(svg.lines().any(|line| line.trim() == text), "{text}");
        }
        let lines = svg.matches("<polyline").count();
        assert!(lines >= 2 * 4, "a line per kernel and operation: {lines}");
    }
}
