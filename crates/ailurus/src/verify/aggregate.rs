//! Differences over several pictures.

use ailurus_runtime::compare::Difference;
use serde::Serialize;

use crate::inputs::Source;

/// How one output differs over several pictures. What the worst picture gives is in the verdict's outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aggregate {
    /// The output's name.
    pub name: String,
    /// The number of pictures.
    pub count: usize,
    /// Averages.
    pub mean: Means,
    /// The picture with the largest relative L2 difference, or with NaNs in one of the models only.
    pub worst: String,
}

/// Averages over pictures, all of the same weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Means {
    /// Of the largest absolute differences.
    pub max_abs: f64,
    /// Of the relative L2 differences.
    pub relative_l2: f64,
    /// Of the cosines.
    pub cosine: f64,
    /// Of the label agreements.
    pub label_agreement: Option<f64>,
    /// Of the peak signal-to-noise ratios, over the pictures where it is finite.
    pub psnr_db: Option<f64>,
}

/// What was measured so far.
#[derive(Default)]
pub(super) struct Gathered {
    runs: Vec<(String, Vec<Difference>)>,
}

impl Gathered {
    /// Adds the differences on one source.
    pub(super) fn add(&mut self, source: &Source, outputs: Vec<Difference>) {
        self.runs.push((source.describe(), outputs));
    }

    /// The worst differences by output and, where it is asked for, what they are over all sources.
    pub(super) fn finish(self, aggregated: bool) -> (Vec<Difference>, Vec<Aggregate>) {
        let outputs = self.runs.first().map_or(0, |(_, outputs)| outputs.len());
        let mut worst = Vec::with_capacity(outputs);
        let mut over = Vec::new();
        for at in 0..outputs {
            let all: Vec<(&str, &Difference)> =
                self.runs.iter().filter_map(|(source, d)| Some((source.as_str(), d.get(at)?))).collect();
            let Some(&(place, bad)) = all.iter().max_by(|a, b| badness(a.1).total_cmp(&badness(b.1))) else {
                continue;
            };
            worst.push(bad.clone());
            if aggregated {
                over.push(Aggregate {
                    name: bad.name.clone(),
                    count: all.len(),
                    mean: Means::of(&all),
                    worst: place.to_owned(),
                });
            }
        }
        (worst, over)
    }
}

/// Orders differences; NaNs in one model only are worse than any number.
fn badness(d: &Difference) -> f64 {
    if d.nan_mismatches > 0 { f64::INFINITY } else { d.relative_l2 }
}

impl Means {
    fn of(all: &[(&str, &Difference)]) -> Self {
        let mean = |value: fn(&Difference) -> Option<f64>| {
            let values: Vec<f64> = all.iter().filter_map(|(_, d)| value(d)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Means {
            max_abs: mean(|d| Some(d.max_abs)).unwrap_or_default(),
            relative_l2: mean(|d| Some(d.relative_l2)).unwrap_or_default(),
            cosine: mean(|d| Some(d.cosine)).unwrap_or_default(),
            label_agreement: mean(|d| d.label_agreement),
            psnr_db: mean(|d| d.psnr_db.filter(|v| v.is_finite())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(relative_l2: f64, nan_mismatches: usize, psnr_db: f64) -> Difference {
        Difference {
            name: "y".into(),
            dims: vec![2],
            max_abs: 2.0 * relative_l2,
            relative_l2,
            cosine: 1.0 - relative_l2,
            nan_mismatches,
            label_agreement: Some(1.0 - relative_l2),
            psnr_db: Some(psnr_db),
        }
    }

    fn gathered(all: &[Difference]) -> Gathered {
        let mut gathered = Gathered::default();
        for (at, d) in all.iter().enumerate() {
            gathered.add(&Source::Image(format!("{at}.png").into()), vec![d.clone()]);
        }
        gathered
    }

    #[test]
    fn means_and_the_worst() {
        let all = [difference(0.25, 0, 30.0), difference(0.5, 0, 20.0), difference(0.0, 0, f64::INFINITY)];
        let (worst, over) = gathered(&all).finish(true);
        assert_eq!(worst, [all[1].clone()]);
        assert_eq!(over.len(), 1);
        assert_eq!((over[0].name.as_str(), over[0].count, over[0].worst.as_str()), ("y", 3, "1.png"));
        let mean = over[0].mean;
        assert_eq!((mean.max_abs, mean.relative_l2, mean.cosine), (0.5, 0.25, 0.75));
        // Equal outputs have no finite ratio, and would hide what the others have.
        assert_eq!((mean.label_agreement, mean.psnr_db), (Some(0.75), Some(25.0)));
    }

    #[test]
    fn nans_are_worse_than_any_number() {
        let all = [difference(0.1, 3, 30.0), difference(9.0, 0, 20.0)];
        assert_eq!(gathered(&all).finish(true).1[0].worst, "0.png");
    }

    #[test]
    fn one_source_has_no_aggregate() {
        let (worst, over) = gathered(&[difference(0.25, 0, 30.0)]).finish(false);
        assert_eq!((worst.len(), over.len()), (1, 0));
    }
}
