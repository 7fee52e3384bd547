/// A drawing of values over time: one of eight heights per value, the highest where the value is `highest`. Anything above
/// zero is seen to be above zero.
pub fn sparkline(values: &[f64], highest: f64) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let height = |value: f64| {
        let share = if highest > 0.0 { (value / highest).clamp(0.0, 1.0) } else { 0.0 };
        // 0 to 7.
        let level = (share * 7.0) as usize;
        HEIGHTS.get(if value > 0.0 { level.max(1) } else { 0 }).copied().unwrap_or('█')
    };
    values.iter().copied().map(height).collect()
}

/// At most `columns` values: means of neighbours.
pub fn columns(values: &[f64], columns: usize) -> Vec<f64> {
    let per_column = values.len().div_ceil(columns.max(1)).max(1);
    values.chunks(per_column).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_with_the_values() {
        assert_eq!(sparkline(&[0.0, 0.1, 2.0, 4.0, 8.0], 8.0), "▁▂▂▄█");
        assert_eq!(sparkline(&[0.0, 0.0], 0.0), "▁▁");
        assert_eq!(sparkline(&[3.0], 3.0), "█");
    }

    #[test]
    fn many_values_become_few() {
        assert_eq!(columns(&[1.0, 3.0, 5.0], 2), [2.0, 5.0]);
        assert_eq!(columns(&[1.0; 120], 60).len(), 60);
        assert_eq!(columns(&[], 60), Vec::<f64>::new());
    }
}
