//! The comparison as text: for each operation a line per kernel and one for the ratio, a column per folio size.

use std::fmt::Write;

use crate::pair::{Comparison, Pair, folio_name, short_name};

/// Width of a column.
const COLUMN: usize = 11;
/// Width of an operation's name and of a kernel's.
const NAMES: (usize, usize) = (18, 7);

/// The whole table.
pub fn show(comparison: &Comparison) -> String {
    let Comparison { kernels: [one, other], unit, .. } = comparison;
    let mut out = format!("{one} against {other}: {unit}, and how many times cheaper the second is\n");
    for (per, title) in [
        ("page", "per 4 KiB page, by size of the folios"),
        ("call", "of the whole call, by size of the folios"),
    ] {
        let ops = comparison.ops(per);
        if !ops.is_empty() {
            section(&mut out, comparison, &ops, &format!("{unit} {title}"));
        }
    }
    out
}

fn section(out: &mut String, comparison: &Comparison, ops: &[&str], title: &str) {
    let (wide, narrow) = NAMES;
    let folios = comparison.folios();
    let mut line = |text: String| writeln!(out, "{}", text.trim_end()).expect("a String takes all");
    line(format!("\n{title}"));
    let columns: String = folios.iter().map(|&folio| format!("{:>COLUMN$}", folio_name(folio))).collect();
    line(format!("{:wide$} {:narrow$}{columns}", "", ""));
    for op in ops {
        let cells = |text: &dyn Fn(&Pair) -> String| -> String {
            let cell = |pair: Option<&Pair>| pair.map_or("-".into(), text);
            folios.iter().map(|&folio| format!("{:>COLUMN$}", cell(comparison.pair(op, folio)))).collect()
        };
        for (i, kernel) in comparison.kernels.iter().enumerate() {
            let name = if i == 0 { op } else { "" };
            line(format!("{name:wide$} {:narrow$}{}", short_name(kernel), cells(&|pair| figure(pair, i))));
        }
        line(format!("{:wide$} {:narrow$}{}", "", "ratio", cells(&ratio)));
    }
}

fn figure(pair: &Pair, kernel: usize) -> String {
    let figure = pair.figures[kernel];
    if pair.per == "call" { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

fn ratio(pair: &Pair) -> String {
    pair.ratio.map_or("-".into(), |ratio| format!("{ratio:.2}x"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Run;
    use crate::toy;

    #[test]
    fn three_lines_for_an_operation() {
        let run = |kernel, figures: &[toy::Figure]| Run::parse(&toy::log(kernel, figures)).unwrap();
        let one = run(
            "Linux 6.12",
            &[("fork", 4, false, 150.0), ("fork", 64, false, 60.0), ("exit", 4, false, 5.0)],
        );
        let other =
            run("Pleat", &[("fork", 4, false, 50.0), ("fork", 64, false, 1.5), ("exit", 4, false, 0.0)]);
        let text = show(&Comparison::new(one, other).unwrap());
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(
            lines,
            [
                "                                   4K        64K",
                "fork               Linux       150.00      60.00",
                "                   Pleat        50.00       1.50",
                "                   ratio        3.00x     40.00x",
                "exit               Linux         5.00          -",
                "                   Pleat         0.00          -",
                "                   ratio            -          -",
            ]
        );
    }
}
