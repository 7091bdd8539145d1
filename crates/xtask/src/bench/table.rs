//! One table: each figure beside the floor it stands on and the aim it has.

use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    section: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    /// What the machine could do if there were nothing of ours.
    floor: Option<f64>,
    aim: Option<&'static str>,
}

impl Row {
    pub(super) fn new(section: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Row {
        Row { section, what: what.into(), value, unit, floor: None, aim: None }
    }

    pub(super) fn aim(self, aim: &'static str) -> Row {
        Row { aim: Some(aim), ..self }
    }

    pub(super) fn floor(self, floor: Option<f64>) -> Row {
        Row { floor, ..self }
    }
}

impl Table {
    pub(super) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The figure that a row of this name has.
    pub(super) fn value(&self, section: &str, what: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.section == section && row.what == what).map(|row| row.value)
    }

    /// How each figure changes as what it depends on grows tenfold, where both were measured.
    pub(super) fn grow(&mut self) {
        let mut grown = Vec::new();
        for row in &self.rows {
            let Some((few, what)) = row.what.split_once(", ") else { continue };
            let Some((number, of)) = few.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            let more = format!("{} {of}, {what}", number * 10);
            if let Some(after) = self.value(row.section, &more)
                && row.value > 0.0
            {
                let name = format!("{what}: {few}, then tenfold");
                grown.push(Row::new(row.section, name, after / row.value, "x"));
            }
        }
        self.rows.append(&mut grown);
    }

    pub(super) fn text(&self) -> String {
        let cells = |row: &Row| {
            let floor = row.floor.map_or(String::new(), shown);
            let ratio = row.floor.map_or(String::new(), |floor| format!("{:.2}", row.value / floor));
            let aim = row.aim.unwrap_or_default().to_owned();
            let what = format!("{}: {}", row.section, row.what);
            [what, format!("{} {}", shown(row.value), row.unit), floor, ratio, aim]
        };
        let mut rows: Vec<[String; 5]> =
            vec![["what", "measured", "floor", "of floor", "aim"].map(str::to_owned)];
        rows.extend(self.rows.iter().map(cells));
        let mut widths = [0; 5];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &[String; 5]| {
            let [what, measured, floor, ratio, aim] = row;
            let [w, m, f, r, a] = widths;
            format!("| {what:w$} | {measured:>m$} | {floor:>f$} | {ratio:>r$} | {aim:a$} |\n")
        };
        let mut text: String = rows.iter().take(1).map(line).collect();
        let [w, m, f, r, a] = widths.map(|width| "-".repeat(width));
        text += &format!("| {w} | {m}:| {f}:| {r}:| {a} |\n");
        text.extend(rows.iter().skip(1).map(line));
        text
    }

    pub(super) fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({ "section": row.section, "what": row.what, "value": row.value, "unit": row.unit,
                "floor": row.floor, "aim": row.aim })
        };
        Value::Array(self.rows.iter().map(row).collect())
    }
}

/// Three digits say enough of a measurement.
fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
