// SPDX-License-Identifier: GPL-2.0-only
//! The picture: ratios to the peer as bars, and what grows with the number of devices as lines.

use std::error::Error;

use plotters::prelude::*;

use crate::results::{Results, Row};

const WIDTH: u32 = 900;
/// The height of a bar with its distance to the next.
const BAR: u32 = 18;
const LINES: u32 = 320;
const FONT: &str = "sans-serif";
const GOOD: RGBColor = RGBColor(0x3b, 0x7a, 0x57);
const BAD: RGBColor = RGBColor(0xb0, 0x4a, 0x3a);

/// The whole picture as SVG.
///
/// # Errors
///
/// What the drawing answers.
pub fn plot(results: &Results) -> Result<String, Box<dyn Error>> {
    let rows: Vec<&Row> = results
        .rows
        .iter()
        .filter(|row| row.ratio().is_some())
        .collect();
    let bars = BAR * rows.len() as u32 + 80;
    let mut svg = String::new();
    {
        let all = SVGBackend::with_string(&mut svg, (WIDTH, bars + LINES)).into_drawing_area();
        all.fill(&WHITE)?;
        let (top, bottom) = all.split_vertically(bars);
        ratios(&top, &rows)?;
        growth(&bottom, results)?;
        all.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A bar for each row, with the lines that the goals are about.
fn ratios(area: &Area<'_>, rows: &[&Row]) -> Result<(), Box<dyn Error>> {
    let count = rows.len() as f64;
    let most = rows
        .iter()
        .filter_map(|row| row.ratio())
        .fold(1.2, f64::max)
        + 0.25;
    let mut chart = ChartBuilder::on(area)
        .caption("Instructions, ours by mtty's (less is better)", (FONT, 17))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(300)
        .build_cartesian_2d(0.0..most, count..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|ratio| format!("{ratio:.1}"))
        .draw()?;
    let label = (FONT, 12).into_font().color(&BLACK);
    for (at, row) in rows.iter().enumerate() {
        let (Some(ratio), top) = (row.ratio(), at as f64) else {
            continue;
        };
        let good = row.judged().is_none_or(|(is, most)| is <= most);
        let color = if good { GOOD } else { BAD };
        let corners = [(0.0, top + 0.15), (ratio, top + 0.85)];
        chart.draw_series([Rectangle::new(corners, color.filled())])?;
        let text = format!("{ratio:.2}");
        chart.draw_series([Text::new(text, (ratio + 0.02, top + 0.15), label.clone())])?;
        let (_, height) = chart.backend_coord(&(0.0, top + 0.15));
        let place = (8, height);
        area.draw(&Text::new(row.what.clone(), place, label.clone()))?;
    }
    for line in [0.8, 1.0] {
        chart.draw_series([PathElement::new(vec![(line, 0.0), (line, count)], BLACK)])?;
    }
    Ok(())
}

/// A line for each figure, by what it is at the first number of devices that counts.
fn growth(area: &Area<'_>, results: &Results) -> Result<(), Box<dyn Error>> {
    let scales = &results.ours;
    let by_number = |figure: fn(&crate::results::Scale) -> Option<f64>| -> Vec<(usize, f64)> {
        let figures = scales.iter();
        figures
            .filter_map(|scale| Some((scale.devices, figure(scale)?)))
            .collect()
    };
    let lines = [
        ("create", by_number(|scale| Some(scale.create))),
        ("remove", by_number(|scale| Some(scale.remove))),
        ("read attribute", by_number(|scale| scale.attribute)),
        ("save", by_number(|scale| Some(scale.save))),
        ("memory", results.memory.ours.clone()),
    ];
    let mut chart = ChartBuilder::on(area)
        .caption(
            "Ours for each device, by the same with 10 devices",
            (FONT, 17),
        )
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(50)
        .build_cartesian_2d((1.0..1000.0_f64).log_scale(), 0.6..1.4_f64)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("devices")
        .y_label_formatter(&|growth| format!("{growth:.1}"))
        .x_label_formatter(&|devices| format!("{devices:.0}"))
        .draw()?;
    chart.draw_series([PathElement::new(vec![(1.0, 1.2), (1000.0, 1.2)], BLACK)])?;
    for (index, (name, figures)) in lines.iter().enumerate() {
        let Some((_, base)) = figures.iter().find(|(devices, _)| *devices >= 10) else {
            continue;
        };
        let color = Palette99::pick(index).to_rgba();
        let points = figures
            .iter()
            .map(|(devices, figure)| (*devices as f64, figure / base));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], color));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK)
        .position(SeriesLabelPosition::LowerRight)
        .draw()?;
    Ok(())
}
