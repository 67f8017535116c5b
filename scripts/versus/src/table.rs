//! The comparison as text: for each operation a line per kernel and one for the ratio, a column per folio size; what has
//! nothing to do with folios in a line each.

use crate::pair::{Comparison, Folio, Pair, folio_name, short_name};

/// Width of a column.
const COLUMN: usize = 11;
/// Width of an operation's name and of a kernel's.
const NAMES: (usize, usize) = (18, 7);

/// Operations whose figure is not by the page, though it goes with the folio size.
const BY_THE_CALL: &str =
    "cow_reuse_first, cow_copy_first: by the write, one in each block; dontneed: by the call";

/// The whole table.
pub fn show(comparison: &Comparison) -> String {
    let Comparison { kernels: [one, other], unit, .. } = comparison;
    let mut lines = vec![format!("{one} against {other}: {unit}, and how many times cheaper the second is")];
    by_folio(&mut lines, comparison);
    whole(&mut lines, comparison);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What is measured by the page.
fn by_folio(lines: &mut Vec<String>, comparison: &Comparison) {
    let ops = comparison.ops("page");
    if ops.is_empty() {
        return;
    }
    let (wide, narrow) = NAMES;
    let of_ops = |pair: &&Pair| pair.per == "page";
    let folios: Vec<Folio> = comparison
        .folios()
        .into_iter()
        .filter(|&folio| comparison.pairs.iter().filter(of_ops).any(|pair| pair.folio() == folio))
        .collect();
    let titles: String = folios.iter().map(|&folio| format!("{:>COLUMN$}", folio_name(folio))).collect();
    lines.push(format!("\n{:<1$}{titles}", "per 4 KiB page, by folio", wide + narrow + 1));
    for op in ops {
        let cells = |text: &dyn Fn(&Pair) -> String| -> String {
            let cell = |pair: Option<&Pair>| pair.map_or("-".into(), text);
            folios.iter().map(|&folio| format!("{:>COLUMN$}", cell(comparison.pair(op, folio)))).collect()
        };
        for (i, kernel) in comparison.kernels.iter().enumerate() {
            let name = if i == 0 { op } else { "" };
            lines.push(format!(
                "{name:wide$} {:narrow$}{}",
                short_name(kernel),
                cells(&|pair| figure(pair, i))
            ));
        }
        lines.push(format!("{:wide$} {:narrow$}{}", "", "ratio", cells(&ratio)));
    }
    lines.push(format!("({BY_THE_CALL})"));
}

/// What is measured as a whole, which the folios do not matter for: the first size's figures.
fn whole(lines: &mut Vec<String>, comparison: &Comparison) {
    let ops = comparison.ops("call");
    if ops.is_empty() {
        return;
    }
    let row = |name: &str, cells: [&str; 3]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>COLUMN$}")).collect();
        format!("{name:<width$}{cells}", width = NAMES.0 + NAMES.1 + 1)
    };
    let [one, other] = comparison.kernels.each_ref().map(|kernel| short_name(kernel));
    lines.push(format!("\n{}", row("the whole call", [one, other, "ratio"])));
    for op in ops {
        if let Some(pair) = comparison.pairs.iter().find(|pair| pair.op == op) {
            lines.push(row(op, [&figure(pair, 0), &figure(pair, 1), &ratio(pair)]));
        }
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
    use crate::log::{Row, Run};
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
        let lines: Vec<&str> = text.lines().skip(2).take(7).collect();
        assert_eq!(
            lines,
            [
                "per 4 KiB page, by folio           4K        64K",
                "fork               Linux       150.00      60.00",
                "                   Pleat        50.00       1.50",
                "                   ratio        3.00x     40.00x",
                "exit               Linux         5.00          -",
                "                   Pleat         0.00          -",
                "                   ratio            -          -",
            ]
        );
    }

    #[test]
    fn whole_calls_have_a_line_each() {
        let run = |kernel: &str, instructions| Run {
            kernel: kernel.into(),
            unit: "instructions".into(),
            rows: vec![Row { pages: 0, instructions, ..toy::row("fork_fixed", 4, false, 0.0) }],
        };
        let text = show(&Comparison::new(run("Linux 6.12", 41_000), run("Pleat, as Linux", 8_200)).unwrap());
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "the whole call                  Linux      Pleat      ratio",
                "fork_fixed                      41000       8200      5.00x",
            ]
        );
    }
}
